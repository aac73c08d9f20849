"""The curves of training runs: reward against divergence, and each figure against steps.

A run is a line through means of stretches of steps, named where there are several. One rollout says little of where a
run stands, so few points are drawn against divergence, of which both axes are noisy.
"""

from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from typing import Any

from markupsafe import Markup

from trueline.studies.results import ArmResult
from trueline.training.history import History, thinned

from .charts import HUES
from .curves import Curve, curve_chart

Titled = list[tuple[str, Markup]]  # charts with their titles
DISTANCE = "√KL to the untreated model (nats an answer)"
AGAINST_DIVERGENCE = {"reward": "reward it learns from", "gold": "gold reward, only watched"}
STRETCHES = 10  # points against divergence
SHARES = ("refused", "truncated", "repetition", "accuracy", "clipped", "own")  # at most 1
AGAINST_STEPS = {
    **AGAINST_DIVERGENCE,
    "cost": "cost",
    "gold_cost": "gold cost, only watched",
    "lambda": "multiplier λ",
    "kl": "KL to the untreated model, nats an answer",
    "length": "length, tokens",
    "entropy": "entropy, nats a token",
    "repetition": "repetition (seq-rep-4)",
    "refused": "refused, share",
    "truncated": "cut at the longest length, share",
}


def mean_of(runs: Sequence[History], points: int = 40) -> list[dict[str, float]]:
    """The mean of several runs, stretch by stretch of each."""
    count = min(points, *map(len, runs))
    stretches = zip(*(thinned(lines, count, tuple(lines[0])) for lines in runs))
    shared = [name for name in runs[0][0] if all(name in lines[0] for lines in runs)]
    return [{name: sum(line[name] for line in same) / len(same) for name in shared} for same in stretches]


def arm_charts(arms: Sequence[ArmResult]) -> list[tuple[str, Titled, Titled]]:
    """(method, against divergence, against steps) of arms that keep their curve, the mean over seeds; all methods in
    one (then it has no name) where colours suffice."""
    seeds: dict[tuple[str, str], list[History]] = {}
    for arm in arms:
        if curve := arm.provenance.get("curve"):
            seeds.setdefault((arm.treatment, arm.label.removesuffix(f" seed={arm.seed}")), []).append(curve)
    families: dict[str, dict[str, History]] = {}
    for (treatment, label), found in seeds.items():
        title = f"{label}, mean of {len(found)} seeds" if len(found) > 1 else label
        families.setdefault(treatment if len(seeds) > HUES else "", {})[title] = mean_of(found)
    return [(method, against_divergence(runs), against_steps(runs)) for method, runs in families.items()]


def against_divergence(runs: Mapping[str, History], budget: float | None = None) -> Titled:
    """A chart for the reward, and one for gold where it is known: each run a line from its first steps to its last.

    KL is estimated from the answers drawn; an estimate below zero is drawn at zero.
    """
    return _charts(
        {label: thinned(lines, STRETCHES) for label, lines in runs.items()},
        AGAINST_DIVERGENCE,
        place=lambda line: sqrt(max(0.0, line["kl"])),
        x_name=DISTANCE,
        limit=None if budget is None else sqrt(budget),
        ends=True,
        width=520,
        height=320,
    )


def against_steps(runs: Mapping[str, History]) -> Titled:
    """A small chart for each figure; its colours are those of :func:`against_divergence`."""
    names = dict.fromkeys(name for lines in runs.values() for line in lines for name in line)
    wanted = (
        AGAINST_STEPS if "kl" in names else {name: name.replace("_", " ") for name in names if name != "step"}
    )
    return _charts(
        runs, wanted, place=lambda line: line["step"], x_name="step", key=False, width=320, height=210
    )


def _charts(
    runs: Mapping[str, History],
    wanted: Mapping[str, str],
    *,
    place: Callable[[Mapping[str, float]], float],
    x_name: str,
    **shape: Any,
) -> Titled:
    limit = shape.pop("limit", None)
    drawn = []
    for name, words in wanted.items():
        curves = [
            Curve(
                label=label or words,
                points=[(place(line), line[name]) for line in lines if name in line],
                hue=hue,
            )
            for hue, (label, lines) in enumerate(runs.items(), 1)
        ]
        curves = [curve for curve in curves if curve.points]
        if curves:
            chart = curve_chart(
                curves, x_name=x_name, y_name=words if shape["width"] > 400 else "", limit=limit,
                limit_name="KL budget", ceiling=1.0 if name in SHARES else None, **shape,
            )  # fmt: skip
            drawn.append((words, Markup(chart)))
    return drawn
