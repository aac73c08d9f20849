"""Tables for the terminal, made for 80 columns."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from trueline.reports.words import corrections, interval, is_share
from trueline.studies.results import CellResult

if TYPE_CHECKING:
    from trueline.studies.compare import Comparison
    from trueline.studies.plan import Plan

DETECTS = (
    "detects: smallest change in points found with 80 % power, of a rate near 50 %, with half of its variance "
    "shared by the arms; with primaries, at 5 % divided by their number"
)
FIRST_COLUMN = 26


class _Fitted(Table):
    """A table that shows all of its columns at any width from about 80 on."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # Left to itself rich takes most from the first column, gives it back its least width, and crops the last one.
        wide = options.update(width=1000)
        too_much = Measurement.get(console, wide, self).maximum - options.max_width
        if too_much > 0:
            column = self.columns[0]
            cells = [column.header, *column.cells]
            longest = max(Measurement.get(console, wide, cell).maximum for cell in cells)
            column.width = min(longest, max(FIRST_COLUMN, longest - too_much))
        yield from super().__rich_console__(console, options)


def new_table(*columns: str, title: str | None = None) -> Table:
    """A table without lines; the first column folds, the others stand to the right."""
    table = _Fitted(box=None, pad_edge=False, title=title, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        if index == 0:
            table.add_column(column, overflow="fold", min_width=FIRST_COLUMN)
        else:
            table.add_column(column, overflow="fold", justify="right")
    return table


def plan_table(plan: "Plan", console: Console) -> None:
    """What a study would ask, what it may take, and what it cannot measure."""
    table = new_table("arm · measure · attack", "items", "requests", "prompt tok", "max new tok", "detects")
    for cell in plan.cells:
        name = escape(f"{cell.arm.label} · {cell.measure.name} · {cell.attack.name}")
        if cell.reason is not None:
            table.add_row(name, f"[yellow]not measurable: {escape(cell.reason)}[/]")
            continue
        counts = (cell.item_count, cell.requests, cell.prompt_tokens, cell.max_tokens)
        seen = "–" if cell.detectable is None else f"{100 * cell.detectable:.1f}"
        table.add_row(name, *(f"{count:,}" for count in counts), seen)
    console.print(table)
    console.print(f"[dim]{DETECTS}[/dim]")
    prices = new_table("target", "requests", "prompt tok", "max new tok", "time", "US $")
    for each in plan.prices:
        sizes = (each.requests, each.prompt_tokens, each.max_tokens)
        name = escape(f"{each.target} ({each.kind})")
        prices.add_row(name, *(f"{size:,}" for size in sizes), _time(each.seconds), _dollars(each.dollars))
    console.print(prices)
    cells = plan.measurable
    console.print(
        f"{len(cells)} cells, {sum(c.requests for c in cells):,} requests; measuring takes roughly up to "
        f"{plan.seconds() / 60:.0f} min."
    )
    _training(plan, console)
    price = plan.cost()
    if price is not None:
        console.print(f"At the given tariff: roughly up to ${price:.2f}.")
    if plan.spec.detect is not None:
        _detection(plan, plan.spec.detect, console)
    if plan.primary:
        console.print("Primary hypotheses, named before the run:")
        for primary in plan.primary:
            console.print(escape(f"  {primary.measure}.{primary.metric} ({primary.attack}) on {primary.arm}"))


def _training(plan: "Plan", console: Console) -> None:
    """What the arms that train may take, where there are any."""
    from trueline.studies.training_price import training_prices

    prices = training_prices(plan)
    if not prices:
        return
    table = new_table("training (estimate)", "examples", "tokens", "GFLOPs", "time")
    for each in prices:
        tokens = "?" if each.tokens is None else f"{each.tokens:,.0f}"
        flops = "?" if each.flops is None else f"{each.flops / 1e9:,.0f}"
        table.add_row(escape(each.arm), f"{each.examples:,}", tokens, flops, _time(each.seconds))
    console.print(table)
    known = [each.seconds for each in prices if each.seconds is not None]
    missing = (
        f", {len(prices) - len(known)} arms that cannot be priced left out"
        if len(known) < len(prices)
        else ""
    )
    console.print(
        f"Training takes roughly {_time(sum(known))} on top (an estimate from words and parameters{missing}; what is "
        "trained already takes none).",
        highlight=False,
    )


def _detection(plan: "Plan", effect: float, console: Console) -> None:
    """Whether each measure's items detect the change that they are to detect."""
    console.print(f"To detect a change of {100 * effect:g} points:", highlight=False)
    found = {(c.arm.target.name, c.measure.name): (c.item_count, c.detectable) for c in plan.measurable}
    for (target, measure), (items, seen) in found.items():
        if seen is None:
            words = "its planned metric is no mean of bounded item scores, so no formula says"
        elif seen <= effect * (1 + 1e-9):
            words = f"{items:,} items do"
        else:
            words = f"{items:,} items do not; they detect {100 * seen:.1f} points"
        console.print(escape(f"  {measure} ({target}): {words}."), highlight=False)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _dollars(dollars: float | None) -> str:
    return "?" if dollars is None else f"{dollars:.2f}"


def comparison_table(rows: "Sequence[Comparison]", console: Console) -> None:
    """Every metric of two arms."""
    table = new_table("measure.metric (attack)", "A", "B", "change B − A", "p adj.")
    for row in rows:
        metric = row.after.metric
        unit = " %" if is_share(metric) else ""
        name = escape(f"{row.cell.measure}.{metric.name} ({row.cell.attack}){unit}")
        change = interval(metric, row.change, signed=True) if row.change else "–"
        p = row.after.p_adjusted
        table.add_row(
            name,
            interval(metric, row.before.estimate) if row.before else "–",
            interval(metric, row.after.estimate),
            change,
            "–" if p is None else f"{p:.3g}",
        )
    console.print(table)
    for line in corrections(cell for row in rows for cell in _one_metric(row)):
        console.print(escape(line), highlight=False)


def _one_metric(row: "Comparison") -> Iterator[CellResult]:
    name = row.after.metric.name
    if row.before is not None:
        yield replace(row.cell, arm=row.before_arm, metrics={name: row.before})
    yield replace(row.cell, metrics={name: row.after})
