"""What a fine-tune forgot: paired changes for the worse, of capability and safety (Qi et al. 2023, arXiv 2310.03693).

The same items are asked before and after, so a loss of three points is seen where two separate scores would not show
it. Only the headline of each measure counts, and only what survives the study's correction for multiple comparisons.
A measure without a sure change is not thereby kept: its interval says what it could have lost. Cells that say nothing
on either side count for nothing.

Example::

    for arm in forgetting(read_results(Path("runs/diff"))):
        print(*arm.told, sep="\\n")
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .metric_results import MetricResult
from .results import CellResult, StudyResults

CAPABILITY = "capability"
Loss = tuple[CellResult, MetricResult]


@dataclass(frozen=True, kw_only=True)
class Forgetting:
    """Of one arm against its baseline: what is surely worse, how many headlines are not surely changed, and how many
    say nothing."""

    arm: str
    baseline: str
    capability: Sequence[Loss]
    safety: Sequence[Loss]
    unclear: int
    silent: int

    @property
    def told(self) -> list[str]:
        """In words: losses of capability, losses of safety, and the rest."""
        words = [
            f"{self.arm}, {kind} lost: " + "; ".join(_words(*loss) for loss in losses)
            for kind, losses in ((CAPABILITY, self.capability), ("safety", self.safety))
            if losses
        ]
        rest = f"{self.unclear} headlines not surely changed" + (
            f", {self.silent} uninformative" if self.silent else ""
        )
        return [*words, f"{self.arm}: {'' if words else 'no sure loss; '}{rest}"]


def forgetting(results: StudyResults) -> list[Forgetting]:
    """One entry a treated arm, in the study's order; attacks other than direct are left to the tables."""
    found = []
    for arm in results.arms:
        if arm.role != "treatment" or arm.label == arm.baseline:
            continue
        losses: dict[bool, list[Loss]] = {True: [], False: []}
        unclear = silent = 0
        for cell in results.cells:
            result = cell.headline
            if cell.arm != arm.label or cell.attack != "direct" or result is None or result.change is None:
                continue
            before = results.cell(arm.baseline, cell.measure)
            if cell.uninformative and before is not None and before.uninformative:
                silent += 1
            elif result.effect == "worse":
                losses[cell.component == CAPABILITY].append((cell, result))
            elif result.effect == "unclear":
                unclear += 1
        found.append(
            Forgetting(
                arm=arm.label,
                baseline=arm.baseline,
                capability=losses[True],
                safety=losses[False],
                unclear=unclear,
                silent=silent,
            )
        )
    return found


def _words(cell: CellResult, result: MetricResult) -> str:
    change = result.change
    assert change is not None and change.value is not None
    ends = [f"{end:+.3g}" if end is not None else "–" for end in (change.low, change.high)]
    return f"{cell.measure} {result.metric.name.replace('_', ' ')} {change.value:+.3g} [{', '.join(ends)}]"
