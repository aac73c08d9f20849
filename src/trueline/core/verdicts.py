"""Items, verdicts and estimates: one item in, one verdict out; a failure is never a score."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .messages import Conversation, Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question of a measure.

    ``cluster`` names what the item shares with others (template, passage); items of one cluster are not
    independent. ``group`` is the slice under which it is reported. ``data`` holds what the measure needs to
    judge the answer (gold labels and the like), JSON values only.
    """

    id: str
    prompt: Prompt
    options: tuple[str, ...] = ()
    cluster: str = ""
    group: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def conversation(self) -> Conversation:
        """The prompt as a conversation; raw text is refused."""
        if isinstance(self.prompt, str):
            raise TypeError(f"item {self.id!r} is raw text, not a conversation")
        return self.prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a measure says of one item: named ``values``, or no verdict with its ``reason``.

    Exactly one of the two: ``values`` is empty if and only if ``reason`` is given.
    """

    item: str
    values: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    cluster: str = ""
    group: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        assert bool(self.values) != bool(self.reason), (
            "a verdict has values or a reason, never both or neither"
        )

    @classmethod
    def of(cls, item: Item, *, note: str = "", **values: float) -> "Verdict":
        """A verdict with values, carrying the item's cluster and group."""
        return cls(item=item.id, values=values, cluster=item.cluster or item.id, group=item.group, note=note)

    @classmethod
    def missing(cls, item: Item, reason: str) -> "Verdict":
        """No verdict, with the reason."""
        return cls(item=item.id, reason=reason, cluster=item.cluster or item.id, group=item.group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with what must be known to use it.

    ``value`` is None where the metric is undefined on these verdicts (say why in ``note``). ``low``/``high``
    bound the 95 % interval named ``interval``. ``worst``/``best`` bound the value over all ways in which the
    ``missing`` verdicts could have come out (low end, high end of the metric's range, not a judgement).
    """

    value: float | None
    low: float | None
    high: float | None
    interval: str
    n: int
    missing: int = 0
    clusters: int = 0
    bound_low: float | None = None
    bound_high: float | None = None
    p: float | None = None
    note: str = ""
