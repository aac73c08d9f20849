"""A small measure, target and study for tests of the study machinery."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from trueline.core.errors import NotMeasurableError, UnfinishedError
from trueline.core.measure import Measure, Metric
from trueline.core.messages import Completion, Prompt, Sampling, Score, chat, last_user
from trueline.core.protocols import Capability, Target
from trueline.core.verdicts import Item, Verdict


class Parity(Measure):
    """Whether the target says that an even number is even (a toy; no paper)."""

    name: ClassVar[str] = "parity"
    title: ClassVar[str] = "Parity"
    component: ClassVar[str] = "capability"
    paper: ClassVar[str] = "none"
    data: ClassVar[str] = "numbers"
    caution: ClassVar[str] = "A toy."
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.GENERATE})
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="right", definition="share of right answers", worse="lower", headline=True),
    )

    def __init__(self, *, count: int = 20) -> None:
        self.count = count

    def items(self) -> Sequence[Item]:
        return [
            Item(id=str(n), prompt=chat(f"Is {n} even?"), data={"even": n % 2 == 0})
            for n in range(self.count)
        ]

    async def examine(self, item: Item, target: Target) -> Verdict:
        (completion,) = await target.generate(item.prompt, Sampling(max_tokens=2))
        if completion.text not in ("yes", "no"):
            return Verdict.missing(item, "neither yes nor no")
        return Verdict.of(item, right=float((completion.text == "yes") == item.data["even"]))

    def describe_cost(self, item: Item) -> tuple[int, int]:
        return (1, 2)


class Liking(Parity):
    """Asks for log-probabilities, which the toy target may not have."""

    name: ClassVar[str] = "liking"
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.SCORE})


class Counter:
    """A target that always says yes, counts its questions, and can fail after some."""

    def __init__(self, *, fail_after: int | None = None, error: type[Exception] = UnfinishedError) -> None:
        self.asked = 0
        self.fail_after = fail_after
        self.error = error

    name = "counter"
    capabilities = frozenset({Capability.GENERATE})

    def fingerprint(self) -> str:
        return "counter"

    def describe(self) -> Mapping[str, Any]:
        return {"kind": "toy", "parameters": 10}

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        self.asked += 1
        if self.fail_after is not None and self.asked > self.fail_after:
            raise self.error("stopped")
        text = "maybe" if "Is 13 " in last_user(prompt) else "yes"
        return (Completion(text=text, prompt_tokens=4, tokens=1),)

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        raise NotMeasurableError("no log-probabilities")


class Contrary:
    """A treatment after which every answer is no."""

    name = "contrary"
    needs: frozenset[Capability] = frozenset({Capability.GENERATE})

    def fingerprint(self) -> str:
        return "contrary"

    def apply(self, target: Target, resources: Any) -> Target:
        return _Contrary()


class _Contrary(Counter):
    def fingerprint(self) -> str:
        return "contrary-counter"

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        return (Completion(text="no", prompt_tokens=4, tokens=1),)
