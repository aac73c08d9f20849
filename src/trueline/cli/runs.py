"""What every verb that runs a study does: plan, price, run, print, write the report, choose the exit code."""

from pathlib import Path

import typer

from trueline.studies.spec import StudySpec


def run(spec: StudySpec, out: Path, *, dry_run: bool = False, max_cost: float | None = None) -> None:
    """Run a study end to end, or only print its plan."""
    from rich.console import Console

    from trueline.core.errors import UnfinishedError
    from trueline.core.threads import use_available_cores
    from trueline.reports.html import write_report
    from trueline.studies.plan import make_plan
    from trueline.studies.results import read_results
    from trueline.studies.run import run_study

    from .progress import Bars
    from .tables import plan_table, results_table

    use_available_cores()
    console = Console()
    bars = Bars()
    with bars.bar("reading models and items", 1):
        plan = make_plan(spec)
    if dry_run:
        plan_table(plan, console)
        plan.check_cost(max_cost)
        return
    report = run_study(plan, out, progress=bars, max_cost=max_cost)
    with bars.bar("estimating and writing the report", 1):
        results = read_results(spec.store or out)
        path = write_report(results, out / "report.html")
    results_table(results, console)
    typer.echo(f"{report.made} verdicts made, {report.stored} were there already.")
    typer.echo(str(path.resolve()))
    if report.unfinished:
        first, *others = report.unfinished
        more = f" (and {len(others)} more cells)" if others else ""
        raise UnfinishedError(f"unfinished, run the same command again to resume: {first}{more}")
