"""What a measure says of a model: its estimates on all items of its testbed family."""

import asyncio
from collections.abc import Mapping
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


@cache
def response(model: Model, name: str, attack: str) -> Mapping[str, Estimate]:
    """The estimates on a trained model, worked out once a test process."""
    return estimates(subject(model), name, attack)


def estimates(subject: Subject, name: str, attack: str) -> Mapping[str, Estimate]:
    """The estimate of each metric, asked directly or through an attack of one query a request."""
    measure = subject.measure(Named(name=name))
    target: Target = subject.target
    if attack != "direct":
        target = AttackedTarget(
            target=target, attack=subject.attack(Named(name=attack)), budget=Budget(queries=1)
        )
    verdicts = asyncio.run(_examine(measure, subject, target))
    found = {}
    for metric in measure.metrics:
        # A metric that names no groups is of all items but the controls, as in a study's results.
        counted = [v for v in verdicts if metric.applies(v.group) and (metric.groups or v.group != CONTROL)]
        if _gives(metric, counted):
            found[metric.name] = estimate(metric, counted)
    return found


def _gives(metric: Metric, verdicts: list[Verdict]) -> bool:
    """Whether these items have the metric at all (only some families ask a question in two orders)."""
    field = metric.field or metric.name
    return any(metric.statistic is not None or field in verdict.values for verdict in verdicts)


async def _examine(measure: Measure, subject: Subject, target: Target) -> list[Verdict]:
    return await asyncio.gather(*(measure.examine(item, target) for item in subject.items(measure)))
