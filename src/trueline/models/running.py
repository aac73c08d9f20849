"""Run one batch of requests of one kind on one module, in its worker thread."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch

from .branches import plan, score_trees
from .readers import log_probability, vocabulary_moments
from .requests import Request, prepared
from .sampler import Sampler
from .sampling_jobs import Draw, Job, Limits
from .sources import end_tokens
from .trees import Tree
from .usage import Usage

Joining = Callable[[], Sequence[Request]]
Spend = Callable[[Usage], None]
Answers = list[tuple[Request, Any]]
_SCORED_TOGETHER = 4  # token budgets a call, so that answers come out as the work goes on


def run_batch(
    model: Any, batch: Sequence[Request], limits: Limits, token_budget: int, joining: Joining, spend: Spend
) -> Answers:
    """Answer every request of the batch, and those that join it, except the last ones, which are returned: they
    are to be given once the module is again as it was.

    The first request's kind and interventions are those of all. What an answer took is spent before it is given.
    Errors are raised: the caller hands them to the requests that are not answered yet.
    """
    first = batch[0]
    if first.kind == "generate":
        return _generate(model, batch, limits, joining, spend)
    with prepared(model, first.interventions):
        if first.kind in ("score", "moments"):
            return _score(model, batch, token_budget, spend)
        assert callable(first.payload) and len(batch) == 1
        value = first.payload(model)
        spend(Usage())
        return [(first, value)]


def _generate(
    model: Any, batch: Sequence[Request], limits: Limits, joining: Joining, spend: Spend
) -> Answers:
    source = batch[0].source
    sampler = Sampler(model, end_tokens=end_tokens(source), decode=source.decode, limits=limits)
    waiting, asked, last = deque(batch), dict[int, Request](), Answers()
    spent = Usage()

    def account() -> None:
        nonlocal spent
        counts = sampler.counts
        total = Usage(
            prompt_tokens=counts.prompt_tokens,
            generated_tokens=counts.generated_tokens,
            flops=2.0 * source.parameters * (counts.prompt_tokens + counts.row_steps),
        )
        spend(total - spent)
        spent = total

    def take(samples: int) -> list[Job]:
        taken: list[Job] = []
        if not waiting:
            waiting.extend(joining())
        while waiting and samples > 0:
            request = waiting.popleft()
            if not request.future.done():
                assert isinstance(request.payload, Job)
                asked[id(request.payload)] = request
                taken.append(request.payload)
                samples -= request.payload.sampling.samples
        return taken

    def deliver(job: Job, draws: tuple[Draw, ...]) -> None:
        account()
        _give(last)
        last.append((asked.pop(id(job)), draws))
        if asked or waiting:
            _give(last)

    try:
        with prepared(model, batch[0].interventions):
            sampler.run(take, deliver)
    finally:
        account()
    return last


def _give(answers: Answers) -> None:
    for request, value in answers:
        request.answer(value)
    answers.clear()


def _score(model: Any, batch: Sequence[Request], token_budget: int, spend: Spend) -> Answers:
    waiting, parameters, last = deque(batch), batch[0].source.parameters, Answers()
    scored = _with_moments if batch[0].kind == "moments" else _logprobs
    while waiting:
        _give(last)
        part: list[Request] = []
        while waiting and (not part or sum(r.length for r in part) < _SCORED_TOGETHER * token_budget):
            if not (request := waiting.popleft()).future.done():
                part.append(request)
        trees = [request.payload for request in part if isinstance(request.payload, Tree)]
        with torch.no_grad():
            found = scored(model, trees, token_budget)
        tokens = plan(model, trees, token_budget=token_budget).tokens
        spend(Usage(scored_tokens=tokens, flops=2.0 * parameters * tokens))
        last += zip(part, found)
    return last


def _logprobs(model: Any, trees: Sequence[Tree], token_budget: int) -> list[Any]:
    """For each tree, the log-probabilities of each branch."""
    found = score_trees(model, trees, token_budget=token_budget)
    return [[branch.tolist() for branch in branches] for branches in found]


def _with_moments(model: Any, trees: Sequence[Tree], token_budget: int) -> list[Any]:
    """For each tree, (log-probabilities, means, variances) of each branch."""
    readers = (log_probability, vocabulary_moments)
    found = score_trees(model, trees, token_budget=token_budget, readers=readers)
    return [
        [(logps.tolist(), moments.mean.tolist(), moments.variance.tolist()) for logps, moments in branches]
        for branches in found
    ]
