"""What a training history says in short: its lines as few points, and what changed between its start and its end.

A history has a line a step (``loop.TrainingRun``). Of a rollout that is learnt several times all lines carry its
figures. No torch here: reports read it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

History = Sequence[Mapping[str, float]]
FIGURES = ("reward", "gold", "cost", "gold_cost", "lambda", "kl", "length", "entropy", "repetition", "refused",
           "truncated")  # fmt: skip


def is_on_policy(history: History) -> bool:
    """Whether the run learnt from a reward of its own answers."""
    return bool(history) and {"reward", "kl"} <= set(history[0])


def thinned(history: History, points: int = 40, names: Sequence[str] = FIGURES) -> list[dict[str, float]]:
    """At most ``points`` means over stretches of consecutive lines, of the ``names`` that they have and of the step."""
    count = min(points, len(history))
    edges = [len(history) * i // count for i in range(count + 1)] if count else []
    made = []
    for start, end in pairwise(edges):
        lines = history[start:end]
        shared = ["step", *(name for name in names if all(name in line for line in lines))]
        made.append({name: sum(line[name] for line in lines) / len(lines) for name in shared})
    return made


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A figure's mean over the first and the last fifth of a run's rollouts; ``clear`` where the difference exceeds
    twice its standard error over them, which tells a trend from the noise of drawing, and nothing of other runs."""

    name: str
    start: float
    end: float
    clear: bool

    @property
    def change(self) -> float:
        """end − start."""
        return self.end - self.start


def shifts(history: History, names: Sequence[str] = FIGURES) -> dict[str, Shift]:
    """The shift of each figure that all lines have; none below ten rollouts."""
    rollouts = [line for line, before in zip(history, [None, *history]) if not _same_rollout(line, before)]
    size = len(rollouts) // 5
    found: dict[str, Shift] = {}
    for name in names if len(rollouts) >= 10 else ():
        if not all(name in line for line in rollouts):
            continue
        first, last = ([line[name] for line in part] for part in (rollouts[:size], rollouts[-size:]))
        gap, error = _mean(last) - _mean(first), sqrt(_error(first) + _error(last))
        found[name] = Shift(name=name, start=_mean(first), end=_mean(last), clear=abs(gap) > 2 * error)
    return found


def signs(history: History) -> list[str]:
    """Signs of over-optimisation (Gao et al. 2022, arXiv 2210.10760): a sentence each. Their limits are rules of
    thumb: a figure must have moved clearly, and by a tenth of all answers or by half of itself."""
    found, told = shifts(history), []
    reward, gold = found.get("reward"), found.get("gold")
    rose = reward is not None and reward.clear and reward.change > 0
    if rose and gold is not None and gold.clear and gold.change < 0:
        told.append(
            f"The reward rose while gold fell from {gold.start:.3g} to {gold.end:.3g}: the reward is over-optimised."
        )
    if reward is not None and not rose:
        told.append("The reward did not rise clearly.")
    for name, what in (
        ("repetition", "Answers repeat themselves more"),
        ("truncated", "More answers are cut at their longest length"),
        ("refused", "More prompts are refused"),
    ):
        moved = found.get(name)
        if moved is not None and moved.clear and moved.change > 0.1:
            told.append(f"{what}: {moved.start:.0%} to {moved.end:.0%}.")
    length = found.get("length")
    if length is not None and length.clear and not 1 / 1.5 <= length.end / max(length.start, 1e-9) <= 1.5:
        told.append(
            f"Answers went from {length.start:.3g} to {length.end:.3g} tokens: the reward may be one of length."
        )
    entropy = found.get("entropy")
    if entropy is not None and entropy.clear and entropy.end < entropy.start / 2:
        told.append(
            f"Entropy fell from {entropy.start:.3g} to {entropy.end:.3g} nats a token: answers are all alike."
        )
    return told


def _same_rollout(line: Mapping[str, float], before: Mapping[str, float] | None) -> bool:
    return before is not None and all(line.get(n) == before.get(n) for n in ("reward", "kl", "length"))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _error(values: Sequence[float]) -> float:
    """The square of the standard error of a mean; 0 for one value."""
    if len(values) < 2:
        return 0.0
    mean = _mean(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)
