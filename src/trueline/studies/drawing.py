"""The random order in which a cell that is asked sequentially gets its items: by clusters, fixed by names and seed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from trueline.core.measure import Metric
from trueline.core.verdicts import Item, Verdict

from .selection import CONTROL

ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What a metric counts of the whole set: each cluster's name and items, in the order of drawing."""

    clusters: Sequence[tuple[str, Sequence[str]]]

    @property
    def items(self) -> int:
        """Items of the whole set."""
        return sum(len(members) for _, members in self.clusters)

    @property
    def largest(self) -> int:
        """Items of the largest cluster."""
        return max((len(members) for _, members in self.clusters), default=0)


class DrawOrder:
    """The clusters of a whole set in random order; controls are no part of it."""

    def __init__(self, everything: Iterable[Item | Verdict], *, seed: int) -> None:
        self.members: dict[str, list[tuple[str, str]]] = {}
        for one in everything:
            if one.group != CONTROL:
                name = one.id if isinstance(one, Item) else one.item
                self.members.setdefault(one.cluster or name, []).append((name, one.group))
        self.names = sorted(self.members, key=lambda name: sha256(f"look:{seed}:{name}".encode()).digest())

    def counted(self, metric: Metric, first: int | None = None) -> Counted:
        """The items that count for a metric, of the ``first`` clusters or all; clusters without any are left out."""
        found = (
            (name, [item for item, group in self.members[name] if metric.applies(group)])
            for name in self.names[:first]
        )
        return Counted(clusters=tuple((name, members) for name, members in found if members))


def state_of(low: float, high: float, margin: float) -> str:
    """What an interval decides of a change."""
    if low > 0 or high < 0:
        return "changed"
    return "within the margin" if -margin < low and high < margin else "open"


def value_of(metric: Metric, verdict: Verdict | None) -> float:
    """The metric's value of a verdict, NaN where there is none."""
    return float("nan") if verdict is None else verdict.values.get(metric.field or metric.name, float("nan"))
