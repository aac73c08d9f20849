"""The report of a comparison of methods: what each bought, cost and needed; as Markdown, and as one offline page."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from trueline.studies.arms import shown as shown_value
from trueline.studies.comparison.changes import CLAIM_SEEDS, Axis, Change
from trueline.studies.comparison.results import KL, Comparison, Row, at_equal

from .pages import duration, quantity
from .trade_off import trade_off_charts
from .words import is_share
from .words import number as metric_number

CAPABILITY_LOSS = 0.05  # at equal capability: the accuracy that a treatment may cost
LEAST_MISSING = 0.01  # of the verdicts
LEGEND = (
    "Level (paired change from the untreated model [95 % interval for new seeds and new items, on these worlds]); "
    "shares in %. In brackets: uninformative. Bold: the interval excludes zero with five seeds or more; it is not "
    "corrected for the number of cells. Missing: the share of verdicts that could not be had, of which neither level "
    "nor change says anything."
)


def write_comparison(compared: Comparison, path: Path) -> Path:
    """Write the page; returns its path."""
    environment = Environment(
        loader=PackageLoader("trueline.reports"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(quantity=quantity, duration=duration)
    harms = harm_axes(compared)
    charts = [
        (axis.title, drawn)
        for axis in harms
        if (drawn := trade_off_charts(compared, axis, lambda row: row.kl, "divergence, nats an answer"))
    ]
    page = environment.get_template("comparison.html.j2").render(
        compared=compared,
        summary=summary(compared),
        legend=LEGEND,
        untreated=untreated_words(compared),
        header=["method", "strength", *(axis.title for axis in compared.axes)],
        rows=[
            [
                row.method,
                row.strength,
                *(level_and_change(axis, row.changes.get(axis)) for axis in compared.axes),
            ]
            for row in compared.rows
        ],
        clear=[
            [False, False, *(axis in row.changes and row.changes[axis].clear for axis in compared.axes)]
            for row in compared.rows
        ],
        costs=costs_table(compared),
        equal=equal_table(compared),
        sensitivity=sensitivity_table(compared),
        charts=charts,
        best=best_words(compared),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    path.write_text(page, encoding="utf-8")
    return path


def harm_axes(compared: Comparison) -> list[Axis]:
    """Headline metrics that are neither capability nor the divergence itself."""
    return [
        axis
        for axis in compared.axes
        if axis.component not in ("capability", "scale") and axis.definition.worse != "neither"
    ]


def capability_axis(compared: Comparison) -> Axis | None:
    """The first capability metric that is a share."""
    return next((a for a in compared.axes if a.component == "capability" and is_share(a.definition)), None)


def summary(compared: Comparison) -> str:
    """What was compared, in a sentence or two."""
    spec = compared.spec
    budget = (
        "one pass over its data"
        if spec.compute is None
        else " and ".join(f"{quantity(amount)} {currency}" for currency, amount in spec.compute.items())
    )
    seeds = len(spec.seeds)
    claim = (
        ""
        if seeds >= CLAIM_SEEDS
        else f" With {seeds} seed{'s' * (seeds > 1)} no claim about methods is made."
    )
    return (
        f"{len(spec.methods)} methods from one base ({spec.size} testbed models), {spec.labels} labels each, "
        f"{budget} of training, {max((m.trials for m in spec.methods), default=0)} tuning trials a method on world "
        f"{', '.join(map(str, spec.development))}, judged on unseen world "
        f"{', '.join(map(str, spec.evaluation))} with {seeds} seed{'s' * (seeds > 1)}.{claim}"
    )


def untreated_words(compared: Comparison) -> str:
    """The untreated model's levels, in the table's units."""
    return (
        "; ".join(f"{axis.title} {number(axis, value)}" for axis, value in compared.untreated.items()) + "."
    )


def number(axis: Axis, value: float, signed: bool = False) -> str:
    """A value of a metric: shares in %."""
    return metric_number(axis.definition, value, signed=signed) if isfinite(value) else "–"


def level_and_change(axis: Axis, change: Change | None) -> tuple[str, str]:
    """The level, and the change with its interval for new seeds and items; what is no change is left empty."""
    if change is None:
        return "not measurable", ""
    level = number(axis, change.level)
    if change.uninformative:
        level = f"({level})"
    from_nothing = axis.place == KL  # the untreated model is at no distance from itself
    signed = not from_nothing
    interval = ""
    if change.low is not None and change.high is not None:
        low, high = (number(axis, end, signed=signed) for end in (change.low, change.high))
        interval = f"[{low}, {high}]"
    moved = "" if from_nothing else number(axis, change.value, signed=True)
    lacking = f"{100 * change.missing:.0f} % missing" if change.missing >= LEAST_MISSING else ""
    return level, ", ".join(part for part in (f"{moved} {interval}".strip(), lacking) if part)


def entry(axis: Axis, change: Change | None) -> str:
    """Level and change in one line."""
    level, moved = level_and_change(axis, change)
    return f"{level} ({moved})" if moved else level


def costs_table(compared: Comparison) -> list[list[str]]:
    """Method, strength, KL, training steps, tokens, FLOPs and seconds, and errors over items and seeds apart."""
    head = [
        "method",
        "strength",
        "KL, nats",
        "steps",
        "tokens",
        "FLOPs",
        "training",
        "error over items",
        "spread over seeds",
    ]
    lines = [head]
    for row in compared.rows:
        change = row.changes.get(compared.best_axis) if compared.best_axis else None
        axis = compared.best_axis
        lines.append(
            [
                row.method,
                row.strength,
                "not measurable" if row.kl is None else f"{row.kl:.3g}",
                f"{row.costs['steps']:.0f}" if row.costs["steps"] else "–",
                quantity(row.costs["tokens"]) if row.costs["tokens"] else "–",
                _spent(compared, row),
                duration(row.costs["seconds"]),
                "–"
                if not change or change.error_items is None or not axis
                else number(axis, change.error_items),
                "–"
                if not change or change.spread_seeds is None or not axis
                else number(axis, change.spread_seeds),
            ]
        )
    return lines


def _spent(compared: Comparison, row: Row) -> str:
    """FLOPs of training; a method that does not keep to the budget is called out."""
    if not row.costs["flops"]:
        return "–"
    ((currency, amount),) = (compared.spec.compute or {"flops": float("inf")}).items()
    over = row.costs.get(currency, 0.0) > 1.01 * amount
    return f"{quantity(row.costs['flops'])}{' (over the budget)' if over else ''}"


def equal_table(compared: Comparison) -> list[list[str]]:
    """Each method's criterion at equal KL, and at the capability loss that is allowed; interpolated, never beyond its
    strengths."""
    axis, capability = compared.best_axis, capability_axis(compared)
    if axis is None:
        return []
    level = _common_level(compared.rows)
    head = ["method"]
    if level is not None:
        head.append(f"{axis.title} at KL {level:.2g}")
    if capability is not None:
        head.append(
            f"best {axis.title} at a loss of at most {100 * CAPABILITY_LOSS:g} points of {capability.title}"
        )
    lines = [head]
    for method in compared.spec.methods:
        rows = [row for row in compared.rows if row.method == method.title]
        line = [method.title]
        if level is not None:
            value = at_equal(rows, axis, lambda row: row.kl, level)
            line.append("not reached" if value is None else number(axis, value))
        if capability is not None:
            line.append(_affordable(rows, axis, capability))
        lines.append(line)
    return lines


def _common_level(rows: Sequence[Row]) -> float | None:
    """The divergence that the most methods reach between their strengths, the smallest of equals."""
    ranges: dict[str, list[float]] = {}
    for row in rows:
        if row.kl is not None:
            ranges.setdefault(row.method, []).append(row.kl)
    levels = sorted({kl for kls in ranges.values() for kl in kls if kl > 0})

    def reached(level: float) -> int:
        return sum(min(kls) <= level <= max(kls) for kls in ranges.values())

    return max(levels, key=reached, default=None)


def _affordable(rows: Sequence[Row], axis: Axis, capability: Axis) -> str:
    sign = -1.0 if axis.definition.worse == "higher" else 1.0
    allowed = [
        row
        for row in rows
        if axis in row.changes
        and capability in row.changes
        and row.changes[capability].value >= -CAPABILITY_LOSS
    ]
    if not allowed:
        return "costs more at every strength"
    best = max(allowed, key=lambda row: sign * row.changes[axis].level)
    return f"{number(axis, best.changes[axis].level)} ({best.strength or 'as it is'})"


def sensitivity_table(compared: Comparison) -> list[list[str]]:
    """Every trial's score on the development worlds, by which criterion, and its cost; the chosen one is marked."""
    lines = [["method", "trial", "criterion", "score", "cost"]]
    for title, trials in compared.trials.items():
        method = next(method for method in compared.spec.methods if method.title == title)
        criterion = compared.spec.criterion(method)
        by = f"{criterion.measure}: {criterion.metric.replace('_', ' ')}"
        by += "" if criterion.attack == "direct" else f" under {criterion.attack}"
        if criterion.keep is not None:
            by += f", {criterion.keep.metric.replace('_', ' ')} within {criterion.keep.loss:g}"
        for trial in trials:
            words = ", ".join(f"{name} {shown_value(value)}" for name, value in trial["parameters"].items())
            mark = " ←" if trial["parameters"] == compared.chosen.get(title) else ""
            numbers = ["–" if n is None else f"{n:.3f}" for n in (trial["score"], trial.get("cost"))]
            lines.append([title, words + mark, by, *numbers])
    return lines


def best_words(compared: Comparison) -> str:
    """The model confidence set in words."""
    if compared.best is None or compared.best_axis is None:
        return ""
    few = (
        ""
        if len(compared.spec.seeds) >= CLAIM_SEEDS
        else " These seeds are too few for a claim about methods."
    )
    return (
        f"May be the best by {compared.best_axis.title} (model confidence set, 95 %, over items of the unseen worlds): "
        f"{', '.join(compared.best)}.{few}"
    )


def comparison_markdown(compared: Comparison) -> str:
    """The whole comparison as Markdown, for docs and pull requests."""
    parts = [
        summary(compared),
        "",
        f"**Untreated:** {untreated_words(compared)}",
    ]
    table = [["method", "strength", *(axis.title for axis in compared.axes)]]
    for row in compared.rows:
        cells = []
        for axis in compared.axes:
            change = row.changes.get(axis)
            text = entry(axis, change)
            cells.append(f"**{text}**" if change is not None and change.clear else text)
        table.append([row.method, row.strength, *cells])
    parts += ["", _markdown(table), "", LEGEND, "", best_words(compared)]
    for title, lines in (
        ("What each took", costs_table(compared)),
        ("At equal divergence, and at equal capability", equal_table(compared)),
        ("Sensitivity to what was tuned", sensitivity_table(compared)),
    ):
        if len(lines) > 1:
            parts += ["", f"### {title}", "", _markdown(lines)]
    return "\n".join(parts) + "\n"


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    head, *body = lines
    rows = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    return "\n".join([*rows, *(f"| {' | '.join(cells)} |" for cells in body)])
