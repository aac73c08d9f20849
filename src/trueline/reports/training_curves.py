"""The curves of training runs: reward against divergence, and each other figure against steps.

A run is a line through means of stretches of steps, named where there are several. One rollout says little of where a
run stands, so few points are drawn against divergence, of which both axes are noisy.
"""

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any

from markupsafe import Markup

from trueline.training.history import History, thinned

from .curves import Curve, curve_chart

DISTANCE = "√KL to the untreated model (nats an answer)"
AGAINST_DIVERGENCE = {"reward": "reward it learns from", "gold": "gold reward, only watched"}
STRETCHES = 10  # points against divergence
AGAINST_STEPS = {
    "kl": "KL to the untreated model, nats an answer",
    "length": "length, tokens",
    "entropy": "entropy, nats a token",
    "repetition": "repetition (seq-rep-4)",
    "refused": "refused, share",
    "truncated": "cut at the longest length, share",
    "cost": "cost",
    "gold_cost": "gold cost, only watched",
    "lambda": "multiplier λ",
}


def against_divergence(runs: Mapping[str, History], budget: float | None = None) -> list[tuple[str, Markup]]:
    """A chart for the reward, and one for gold where it is known: each run a line from its first steps to its last.

    KL is estimated from the answers drawn; an estimate below zero is drawn at zero.
    """
    return _charts(
        {label: thinned(lines, STRETCHES) for label, lines in runs.items()},
        AGAINST_DIVERGENCE,
        place=lambda line: sqrt(max(0.0, line["kl"])),
        x_name=DISTANCE,
        limit=None if budget is None else sqrt(budget),
        width=640,
        height=320,
    )


def against_steps(runs: Mapping[str, History]) -> list[tuple[str, Markup]]:
    """A small chart for each other figure."""
    names = dict.fromkeys(name for lines in runs.values() for line in lines for name in line)
    wanted = (
        AGAINST_STEPS if "kl" in names else {name: name.replace("_", " ") for name in names if name != "step"}
    )
    return _charts(runs, wanted, place=lambda line: line["step"], x_name="step", width=320, height=210)


def _charts(
    runs: Mapping[str, History],
    wanted: Mapping[str, str],
    *,
    place: Callable[[Mapping[str, float]], float],
    x_name: str,
    **shape: Any,
) -> list[tuple[str, Markup]]:
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
                limit_name="KL budget", **shape,
            )  # fmt: skip
            drawn.append((words, Markup(chart)))
    return drawn
