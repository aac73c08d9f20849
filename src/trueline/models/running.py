"""Run one batch of requests of one kind on one module, in its worker thread."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch

from .branches import plan, score_trees
from .forward.paths import device_of, known, unwrap
from .forward.readers import log_probability, vocabulary_moments
from .forward.shared_prefix import Family, Prefix, families, read_prefix, without
from .requests import Request, prepared
from .sampling.jobs import Draw, Job, Limits
from .sampling.sampler import Sampler
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
    parameters, last = batch[0].source.parameters, Answers()
    scored = _with_moments if batch[0].kind == "moments" else _logprobs
    trees = [_tree(request) for request in batch]
    together = (
        families(trees) if known(model).prefixes else [Family(shared=0, members=tuple(range(len(trees))))]
    )
    for family in together:
        prefix: Prefix | None = None
        waiting = deque(batch[member] for member in family.members)
        while waiting:
            _give(last)
            part = _part(waiting, family.shared, _SCORED_TOGETHER * token_budget)
            if not part:
                continue
            rest = [without(_tree(request), family.shared) for request in part]
            tokens = 0
            if family.shared and prefix is None:
                beginning = _tree(part[0]).trunk[: family.shared]
                prefix, tokens = read_prefix(unwrap(model), beginning, device_of(model)), family.shared
            with torch.no_grad():
                found = scored(model, rest, token_budget, prefix)
            tokens += plan(model, rest, token_budget=token_budget, prefix=prefix, fold=True).tokens
            spend(Usage(scored_tokens=tokens, flops=2.0 * parameters * tokens))
            last += zip(part, found)
    return last


def _tree(request: Request) -> Tree:
    assert isinstance(request.payload, Tree)
    return request.payload


def _part(waiting: deque[Request], shared: int, most: int) -> list[Request]:
    """Requests for about ``most`` tokens of their own, taken from those that somebody still waits for."""
    part: list[Request] = []
    tokens = 0
    while waiting and (not part or tokens < most):
        request = waiting.popleft()
        if not request.future.done():
            part.append(request)
            tokens += request.length - shared
    return part


def _logprobs(model: Any, trees: Sequence[Tree], token_budget: int, prefix: Prefix | None) -> list[Any]:
    """For each tree, the log-probabilities of each branch."""
    found = score_trees(model, trees, token_budget=token_budget, prefix=prefix)
    return [[branch.tolist() for branch in branches] for branches in found]


def _with_moments(model: Any, trees: Sequence[Tree], token_budget: int, prefix: Prefix | None) -> list[Any]:
    """For each tree, (log-probabilities, means, variances) of each branch."""
    readers = (log_probability, vocabulary_moments)
    found = score_trees(model, trees, token_budget=token_budget, readers=readers, prefix=prefix)
    return [
        [(logps.tolist(), moments.mean.tolist(), moments.variance.tolist()) for logps, moments in branches]
        for branches in found
    ]
