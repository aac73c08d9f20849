"""What a measure is: items in, one verdict an item out, and metrics that summarise verdicts under weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from .fingerprint import fingerprint
from .protocols import Capability, Target
from .verdicts import Item, Verdict

Component = Literal["data safety", "model safety", "prompt safety", "alignment", "capability", "scale"]
Floats = NDArray[np.float64]
# (named columns of shape [n], weights [n]) -> value; NaN where the metric is undefined
Statistic = Callable[[Mapping[str, Floats], Floats], float]


class ByRows:
    """A statistic written for many weightings at once: ``rows(columns, weights [r, n])`` gives [r] values.

    Called like any other statistic, with weights [n], it gives one value. Resampling asks for all replicates
    together, which is some fifty times as fast as one by one.

    Example: ``mean = ByRows(lambda columns, weights: weights @ columns["x"] / weights.sum(axis=1))``
    """

    def __init__(self, rows: Callable[[Mapping[str, Floats], Floats], Floats]) -> None:
        self.rows = rows
        update_wrapper(self, rows)

    def __call__(self, columns: Mapping[str, Floats], weights: Floats) -> float:
        """The value under one weighting [n]."""
        return float(self.rows(columns, weights[None])[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareAmong:
    """A rate of some of the verdicts: of those whose ``among`` is not zero, the share whose ``field`` is above zero.

    How many those are depends on the answers (of first right answers, of texts with a gender). So an estimate counts
    them alone and has a proportion's interval over them; the paired change of two arms, which may have others, is
    resampled like any statistic. NaN where there is none.

    Example: ``ShareAmong(field="given_up", among="right")``
    """

    field: str
    among: str

    def counted(self, columns: Mapping[str, Floats]) -> NDArray[np.bool_]:
        """Which verdicts count, [n]."""
        found: NDArray[np.bool_] = np.nan_to_num(columns[self.among]) != 0
        return found

    def values(self, columns: Mapping[str, Floats]) -> Floats:
        """1 or 0 for each verdict, counted or not, [n]."""
        return (columns[self.field] > 0).astype(np.float64)

    def __call__(self, columns: Mapping[str, Floats], weights: Floats) -> float:
        """The share under these weights."""
        counted = weights * self.counted(columns)
        total = float(counted.sum())
        return float(counted @ self.values(columns)) / total if total > 0 else float("nan")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number that a measure reports.

    ``field`` names the verdict value that is averaged (default: the metric's own name). ``kind`` chooses the
    interval: a ``proportion`` gets Wilson (or Clopper–Pearson when ``rare``; both on the effective n where
    items are clustered), a ``mean`` the clustered t interval, a ``statistic`` cluster-weight resampling.
    ``groups`` restricts the metric to items of these groups (a prefix before "/" counts). ``worse`` says which
    direction is harm, ``floor`` is what chance alone gives.

    ``judged_by`` names the measure's judge parameter on whose word the number rests, and ``judged_as`` how: the
    share of the judge's yes (``positive``) or no (``negative``), which a card of its errors can correct, or
    ``other`` (a mean of values, a best of k), which only labels of the study's own answers can.
    """

    name: str
    definition: str
    kind: Literal["proportion", "mean", "statistic"] = "proportion"
    field: str = ""
    worse: Literal["higher", "lower", "neither"] = "higher"
    groups: tuple[str, ...] = ()
    bounds: tuple[float, float] = (0.0, 1.0)
    floor: float | None = None
    rare: bool = False
    statistic: Statistic | None = None
    headline: bool = False
    judged_by: str = ""
    judged_as: Literal["positive", "negative", "other"] = "other"

    def applies(self, group: str) -> bool:
        """Whether items of this group count for the metric."""
        return not self.groups or any(group == g or group.startswith(g + "/") for g in self.groups)

    def compute(self, columns: Mapping[str, Floats], weights: Floats) -> float:
        """The value under the given weights; NaN where undefined."""
        if self.statistic is not None:
            return self.statistic(columns, weights)
        total = weights.sum()
        return float(weights @ columns[self.field or self.name] / total) if total > 0 else float("nan")


class Measure:
    """One harm, one file. Subclasses set the class attributes and write ``items`` and ``examine``.

    The same code runs on real data (``items()``) and on testbed items (made by ``trueline.testbed``); only the
    items differ. ``check`` returns why the result says nothing (a target at chance, or one that cannot do the
    simplest thing it is asked), or None.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    title: ClassVar[str]
    component: ClassVar[Component]
    paper: ClassVar[str]
    data: ClassVar[str]
    caution: ClassVar[str]
    needs: ClassVar[frozenset[Capability]]
    metrics: ClassVar[tuple[Metric, ...]]
    attackable: ClassVar[bool] = False
    testbed: ClassVar[str | None] = None  # the testbed's family of items for this harm, if it has it

    def items(self) -> Sequence[Item]:
        """The real items in their published order; raises when the data is missing, with the fetch command."""
        raise NotImplementedError

    async def examine(self, item: Item, target: Target) -> Verdict:
        """Ask the target about one item and judge the answer. Never turns a failure into a score."""
        raise NotImplementedError

    def check(self, verdicts: Sequence[Verdict]) -> str | None:
        """Why this result is uninformative, or None."""
        return None

    def warnings(self, verdicts: Sequence[Verdict]) -> tuple[str, ...]:
        """What a reader must keep in mind of this result (too few items for a calibration curve, say)."""
        return ()

    def fingerprint(self) -> str:
        """Digest of name, version and settings (judges by their own fingerprints)."""
        settings = {
            name: value.fingerprint() if hasattr(value, "fingerprint") else repr(value)
            for name, value in sorted(vars(self).items())
            if not name.startswith("_")
        }
        return fingerprint({"measure": self.name, "version": self.version, "settings": settings})

    def describe_cost(self, item: Item) -> tuple[int, int]:
        """(requests, most generated tokens) that one item takes; the plan prices studies with it."""
        return (1, 0)
