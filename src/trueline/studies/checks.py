"""What a study can be refused for before anything is loaded: names, contradictions, options without effect."""

from collections.abc import Sequence

from trueline.catalog import find
from trueline.core.errors import InputError, unknown_name
from trueline.core.statistics.estimate import is_statistic

from .arms import Arm
from .measuring import measure_class
from .spec import Primary, StudySpec


def check_spec(spec: StudySpec, arms: Sequence[Arm]) -> None:
    """See that every name is known, every arm has a label of its own, and every limit and attack an effect.

    Raises:
        InputError: the first that is not so.
    """
    measures = {named.name: measure_class(named.name, named.file) for named in spec.measures}
    files: dict[str, str | None] = {}
    for named in spec.measures:
        if files.setdefault(named.name, named.file) != named.file:
            raise InputError(
                f"the measure files {files[named.name]!r} and {named.file!r} both define {named.name!r}: rename one."
            )
    for named in spec.treatments:
        find("treatment", named.name)
    for name in spec.limits:
        if name not in measures:
            raise unknown_name("measure in limits", name, measures)
    for named in spec.attacks:
        find("attack", named.name)
        if named.name != "direct" and not any(cls.attackable for cls in measures.values()):
            raise InputError(
                f"the attack {named.name!r} applies to none of the measures ({', '.join(measures)}): leave it "
                "out, or add a measure of harmful requests such as advbench."
            )
    labels: set[str] = set()
    for arm in arms:
        if arm.label in labels:
            raise InputError(f"two arms are called {arm.label!r}: give the target or treatment a label.")
        labels.add(arm.label)


def check_sequential(spec: StudySpec, primary: Sequence[Primary]) -> None:
    """See that a study which is to stop early has primaries, and that they can be followed item by item.

    Raises:
        InputError: none, or the first that cannot.
    """
    if spec.sequential is None:
        return
    if not primary:
        raise InputError(
            "sequential stops a cell once its primaries are decided, and the study names none: add primary."
        )
    measures = {named.name: measure_class(named.name, named.file) for named in spec.measures}
    for each in primary:
        metric = next((m for m in measures[each.measure].metrics if m.name == each.metric), None)
        if metric is not None and (is_statistic(metric) or float("inf") in map(abs, metric.bounds)):
            raise InputError(
                f"sequential cannot follow {each.measure}.{each.metric}, which is no mean of bounded item scores: "
                "name another primary, or leave sequential out."
            )
