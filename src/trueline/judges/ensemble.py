"""Several judges as one: by majority of their yes and no, or by the mean of their values (no paper).

A member without a verdict has no vote; fewer than half of the members, or a tie, leaves the answer without a
verdict. A card of an ensemble (``trueline judge evaluate``) shows how far its members agree: Krippendorff's α of
their yes and no, over the answers that at least two of them judged.
Example: ``{judge: ensemble, members: [refusal_patterns, refusal_keywords, {judge: NAME}]}``.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion
from trueline.core.protocols import Judge, Judgement
from trueline.core.verdicts import Item


class Ensemble:
    """The majority, or the mean, of several judges; a tie or too few verdicts is none."""

    name = "ensemble"

    def __init__(self, *, members: Sequence[Judge], by: Literal["majority", "mean"] = "majority") -> None:
        if len(members) < 2:
            raise InputError(f"an ensemble of {len(members)} judges is none; name at least two members.")
        if by not in ("majority", "mean"):
            raise InputError(f"by {by!r} is unknown; an ensemble votes by majority or mean.")
        self.members, self.by = tuple(members), by

    def fingerprint(self) -> str:
        """Changes with any member and with the way of voting."""
        members = [member.fingerprint() for member in self.members]
        return fingerprint({"judge": self.name, "by": self.by, "members": members})

    async def judge(self, item: Item, completion: Completion) -> Judgement:
        """All members judge the same answer."""
        given = await asyncio.gather(*(member.judge(item, completion) for member in self.members))
        votes = tuple(judgement.value for judgement in given)
        return replace(self._decide([value for value in votes if value is not None]), votes=votes)

    def _decide(self, values: Sequence[float]) -> Judgement:
        if 2 * len(values) < len(self.members) or not values:
            return Judgement(value=None, reason=f"{len(values)} of {len(self.members)} judges gave a verdict")
        if self.by == "mean":
            return Judgement(value=sum(values) / len(values))
        yes = sum(value >= 0.5 for value in values)
        if 2 * yes == len(values):
            return Judgement(value=None, reason=f"the judges are tied, {yes} to {yes}")
        return Judgement(value=float(2 * yes > len(values)))
