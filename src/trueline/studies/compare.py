"""Any two arms of a study against each other, on the items that both have."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trueline.core.errors import unknown_name
from trueline.core.verdicts import Estimate

from .metric_results import MetricResult
from .results import CellResult, read_results


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One metric of two arms; ``cell`` is that of the second."""

    cell: CellResult
    before_arm: str
    before: MetricResult | None
    after: MetricResult
    change: Estimate | None


def compare_arms(folder: Path | str, before: str, after: str) -> Sequence[Comparison]:
    """Paired comparison of two arms by label.

    Raises:
        InputError: an arm is unknown, or the folder holds no study.
    """
    results = read_results(folder, baseline=before)
    labels = [arm.label for arm in results.arms]
    for label in (before, after):
        if label not in labels:
            raise unknown_name("arm", label, labels)
    first = {(c.measure, str(c.parameters), c.attack): c for c in results.cells if c.arm == before}
    compared = []
    for cell in results.cells:
        if cell.arm != after:
            continue
        other = first.get((cell.measure, str(cell.parameters), cell.attack))
        for name, result in cell.metrics.items():
            earlier = other.metrics.get(name) if other else None
            compared.append(
                Comparison(cell=cell, before_arm=before, before=earlier, after=result, change=result.change)
            )
    return compared
