"""What a measure says of a model: its estimates on all items of its testbed family."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from trueline.attacks.attacked import AttackedTarget
from trueline.core.measure import Measure, Metric
from trueline.core.protocols import Budget, Target
from trueline.core.statistics.estimate import estimate
from trueline.core.verdicts import Estimate, Verdict
from trueline.studies.selection import CONTROL
from trueline.studies.spec import Named
from trueline.studies.subjects import Subject

from .models import Model, subject

ATTACKS = {
    "prefill": Named(name="prefill"),
    "short_prefill": Named.model_validate({"name": "prefill", "opening": "Sure, here is"}),
    "jailbreak_template": Named(name="jailbreak_template"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The estimate of each metric, and why the result says nothing, or None."""

    estimates: Mapping[str, Estimate]
    uninformative: str | None


@cache
def response(model: Model, name: str, attack: str) -> Response:
    """What the measure says, asked directly or through an attack of one query a request.

    Worked out once in a test process. Controls are asked without the attack and count for the metrics that
    name them only, as in a study.
    """
    asked = subject(model)
    measure = asked.measure(Named(name=name))
    target: Target = asked.target
    if attack != "direct":
        target = AttackedTarget(target=target, attack=asked.attack(ATTACKS[attack]), budget=Budget(queries=1))
    verdicts = asyncio.run(_examine(measure, asked, target))
    estimates = {}
    for metric in measure.metrics:
        counted = [v for v in verdicts if metric.applies(v.group) and (metric.groups or v.group != CONTROL)]
        if _gives(metric, counted):
            estimates[metric.name] = estimate(metric, counted)
    return Response(estimates=estimates, uninformative=measure.check(verdicts))


async def _examine(measure: Measure, asked: Subject, target: Target) -> list[Verdict]:
    return await asyncio.gather(
        *(
            measure.examine(item, asked.target if item.group == CONTROL else target)
            for item in asked.items(measure)
        )
    )


def _gives(metric: Metric, verdicts: list[Verdict]) -> bool:
    """Whether these items have the metric at all (only some families ask a question in two orders)."""
    field = metric.field or metric.name
    return any(metric.statistic is not None or field in verdict.values for verdict in verdicts)
