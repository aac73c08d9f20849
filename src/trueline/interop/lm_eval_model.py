"""A Trueline target, with its treatment, as a model of lm-eval: registered as ``trueline`` when this is imported.

Example: ``python -m trueline.interop.lm_eval_model --model trueline --model_args pretrained=PATH --tasks arc_easy``

A local target cuts texts as lm-eval does, so that scores are lm-eval's own (docs/parity.md). Plain prompts are raw
text, on which treatments of conversations do not act; ``--apply_chat_template`` puts conversations to the target
as such, under its own template and treatment. ``is_greedy`` comes from one greedy generation a context; after an
empty context it is False. A request that cannot be answered stops the run: it is never a score.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from copy import copy
from dataclasses import is_dataclass, replace
from functools import partial
from typing import Any, TypeVar

from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import normalize_gen_kwargs

from trueline.core.errors import InputError
from trueline.core.messages import Completion, Prompt, Sampling, Score, from_json
from trueline.core.protocols import Target

from .treated import treated_target

CHAT = "trueline-conversation:"  # a conversation in the text that lm-eval passes around
SAME = 1e-3  # nats; batches of other shapes differ by less
DEVICE = "cuda:0"  # what lm-eval's command line passes where its user named none
T = TypeVar("T")


@register_model("trueline")
class TruelineLM(LM):  # type: ignore[misc]
    """``pretrained`` is a model as Trueline names it; further arguments are those of ``interop.treated``.

    ``batch_size`` and ``max_batch_size``, which lm-eval always passes, have no effect: the engine fills batches. Its
    device does where the model has one and the machine has that; ``device`` cuda:0 is what it passes unasked.
    """

    def __init__(
        self,
        pretrained: str | Target,
        *,
        batch_size: Any = None,
        max_batch_size: Any = None,
        device: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        if isinstance(pretrained, str):
            given = {**options, **({"device": device} if _asked_for(device, pretrained) else {})}
            pretrained = treated_target(pretrained, given)
        elif options:
            raise InputError(f"the option {min(options)!r} goes with a model's name, not with a target.")
        self.target: Target = cut_as_harness(pretrained)

    @property
    def tokenizer_name(self) -> str:
        """Under which lm-eval caches rendered requests."""
        return f"trueline-{self.target.fingerprint()}"

    def get_model_info(self) -> dict[str, Any]:
        """What stands in lm-eval's results."""
        about = json.loads(json.dumps(dict(self.target.describe()), default=str))
        return {"trueline": {"fingerprint": self.target.fingerprint(), **about}}

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The target's own; another cannot be chosen."""
        if isinstance(chat_template, str):
            raise InputError(
                f"a Trueline target has its own chat template; {chat_template!r} cannot be chosen."
            )
        return "trueline" if chat_template else None

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The conversation as it is, marked, so that the target's treatment sees its turns."""
        last = chat_history[-1]["role"] if chat_history else None
        if add_generation_prompt == (last == "assistant"):
            raise InputError(
                "a conversation must end with the user's turn, or with an answer to be continued."
            )
        return CHAT + json.dumps(chat_history)

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """(log-likelihood in nats, whether greedy decoding says it) of each continuation."""
        contexts: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            contexts.setdefault(request.args[0], []).append(index)
        answers: dict[int, tuple[float, bool]] = {}

        async def one(context: str, indices: Sequence[int]) -> None:
            prompt, texts = _prompt(context), [requests[index].args[1] for index in indices]
            scores = await self.target.score(prompt, texts)
            start, spaces = _without_spaces(prompt)
            answer = None
            if start:
                longest = max(1, *(score.tokens for score in scores))
                (answer,) = await self.target.generate(start, Sampling(max_tokens=longest))
            for index, text, score in zip(indices, texts, scores):
                greedy = answer is not None and is_greedy(answer, spaces + text, score)
                answers[index] = (score.logprob, greedy)
                self.cache_hook.add_partial("loglikelihood", requests[index].args, answers[index])

        _run([partial(one, context, indices) for context, indices in contexts.items()])
        return [answers[index] for index in range(len(requests))]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood of whole documents, in windows where they are longer than the context."""

        prefix = _raw_prefix(self.target)

        async def one(request: Any) -> float:
            (score,) = await self.target.score("", [prefix + request.args[0]])
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, score.logprob)
            return score.logprob

        return _run([partial(one, request) for request in requests])

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Answers, cut before the first stop text."""

        async def one(request: Any) -> str:
            context, given = request.args
            (answer,) = await self.target.generate(_prompt(context), _sampling(given))
            self.cache_hook.add_partial("generate_until", request.args, answer.text)
            return answer.text

        return _run([partial(one, request) for request in requests])


def cut_as_harness(target: Any) -> Any:
    """The same target with lm-eval's cut between prompt and continuation, under its treatments too."""
    if hasattr(target, "with_cut"):
        return target.with_cut("harness")
    inner = getattr(target, "inner", None)
    if inner is None:
        return target
    if is_dataclass(target):
        return replace(target, inner=cut_as_harness(inner))  # type: ignore[type-var]
    same: Any = copy(target)
    same.inner = cut_as_harness(inner)
    return same


def is_greedy(answer: Completion, text: str, score: Score) -> bool:
    """Whether a greedy answer says this continuation, token by token.

    The same text in other tokens has other log-probabilities, so those tell where the target gives them.
    """
    said = answer.raw if answer.raw is not None else answer.text
    if not said.startswith(text):
        return False
    pairs = zip(answer.logprobs, score.token_logprobs)
    enough = not answer.logprobs or len(answer.logprobs) >= score.tokens
    return enough and all(abs(mine - theirs) < SAME for mine, theirs in pairs)


def _without_spaces(prompt: Prompt) -> tuple[Prompt, str]:
    """Raw text without the spaces at its end, which lm-eval counts to the continuation, and those."""
    if not isinstance(prompt, str):
        return prompt, ""
    stripped = prompt.rstrip()
    return stripped, prompt[len(stripped) :]


def _raw_prefix(target: Any) -> str:
    """What a tokenizer puts before raw text: lm-eval scores it as a document's first token."""
    while not hasattr(target, "encoding") and hasattr(target, "inner"):
        target = target.inner
    if not hasattr(target, "encoding"):
        return ""
    return str(target.tokenizer.decode(list(target.encoding.raw_prefix)))


def _prompt(context: str) -> Prompt:
    if not context.startswith(CHAT):
        return context
    try:
        return from_json(json.loads(context.removeprefix(CHAT)))
    except json.JSONDecodeError as error:
        raise InputError(
            "the task writes text after the conversation, which a chat cannot hold; leave --apply_chat_template out."
        ) from error


def _sampling(given: dict[str, Any]) -> Sampling:
    kwargs = dict(normalize_gen_kwargs(given, 256))
    sampled = kwargs.pop("do_sample", False)
    until = kwargs.pop("until", []) or []
    sampling = Sampling(
        max_tokens=int(kwargs.pop("max_gen_toks")),
        temperature=float(kwargs.pop("temperature", 1.0 if sampled else 0.0)),
        top_p=float(kwargs.pop("top_p", 1.0)),
        stop=(until,) if isinstance(until, str) else tuple(stop for stop in until if stop),
    )
    if kwargs:
        raise InputError(f"a Trueline target takes no {min(kwargs)!r} in generation_kwargs; leave it out.")
    return sampling


def _asked_for(device: str | None, model: str) -> bool:
    import torch

    if device != DEVICE:
        return device is not None
    return torch.cuda.is_available() and not model.startswith(("openai:", "inspect:", "recorded:"))


def _run(makers: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
    """All results; the first error is raised once every request has ended."""

    async def everything() -> list[T | BaseException]:
        return await asyncio.gather(*(make() for make in makers), return_exceptions=True)

    results = asyncio.run(everything())
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
