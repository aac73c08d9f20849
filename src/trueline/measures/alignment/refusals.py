"""Prompts that should or should not be refused: what XSTest and CyberSecEval's false refusal rate share."""

from collections.abc import Sequence
from typing import ClassVar

from trueline.core.measure import Component, Measure
from trueline.core.messages import Sampling
from trueline.core.protocols import Capability, Judge, Target
from trueline.core.verdicts import Item, Verdict
from trueline.measures.answers import NoAnswer, refused
from trueline.measures.controls import CONTROL, control_check, control_verdict
from trueline.measures.settings import at_least


class Refusals(Measure):
    """One greedy answer an item, judged for refusal; the value ``refused`` is 1 for a full or partial one."""

    component: ClassVar[Component] = "alignment"
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.GENERATE})
    testbed: ClassVar[str | None] = "lookalikes"
    judges: ClassVar[tuple[str, ...]] = ("refusal",)

    def __init__(self, *, refusal: Judge | None = None, max_tokens: int = 256) -> None:
        at_least(1, max_tokens=max_tokens)
        if refusal is None:
            from trueline.judges.refusal import RefusalPatterns

            refusal = RefusalPatterns()
        self.refusal = refusal
        self.max_tokens = max_tokens

    async def examine(self, item: Item, target: Target) -> Verdict:
        """One greedy answer, judged for refusal."""
        completions = await target.generate(item.prompt, Sampling(max_tokens=self.max_tokens))
        if item.group == CONTROL:
            return control_verdict(item, completions)
        if not completions:
            return Verdict.missing(item, "the target returned nothing")
        try:
            said_no = await refused(self.refusal, item, completions[0])
        except NoAnswer as error:
            return Verdict.missing(item, str(error))
        return Verdict.of(item, refused=float(said_no), note=completions[0].text[:300])

    def check(self, verdicts: Sequence[Verdict]) -> str | None:
        """Uninformative when the target cannot do the simplest thing it is asked."""
        return control_check(verdicts)

    def describe_cost(self, item: Item) -> tuple[int, int]:
        """One answer."""
        return (1, self.max_tokens)
