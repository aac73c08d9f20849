"""What every verb that runs a study does: plan, price, run, print, write the report, choose the exit code."""

from pathlib import Path
from typing import Any

import typer

from trueline.studies.spec import StudySpec


def run(
    spec: StudySpec,
    out: Path,
    *,
    dry_run: bool = False,
    max_cost: float | None = None,
    self_contained: bool = False,
) -> None:
    """Run a study end to end, or only print its plan.

    ``self_contained``: all that it reads comes with the package, so a finished run is known without a model.
    """
    from rich.console import Console

    from trueline.core.errors import UnfinishedError
    from trueline.core.threads import use_available_cores
    from trueline.reports.html import write_report
    from trueline.studies.finished import finished_results, made_of, mark_finished
    from trueline.studies.plan import make_plan
    from trueline.studies.results import read_results
    from trueline.studies.run import RunReport, run_study

    from .progress import Bars
    from .results_table import results_table
    from .tables import plan_table

    console = Console()
    bars = Bars()
    began_with = made_of() if self_contained else ""
    results = finished_results(spec, out) if self_contained else None
    if results is not None:
        report = RunReport(made=0, stored=results.verdict_count)
    else:
        use_available_cores()
        with bars.bar("reading models and items", 1):
            plan = make_plan(spec)
        if dry_run:
            plan_table(plan, console)
            plan.check_cost(max_cost)
            return
        report = run_study(plan, out, progress=bars, max_cost=max_cost)
    with bars.bar("estimating and writing the report", 1):
        results = results or read_results(spec.store or out)
        path = write_report(results, out / "report.html")
    results_table(results, console)
    typer.echo(f"{report.made} verdicts made, {report.stored} were there already.")
    typer.echo(str(path.resolve()))
    if report.unfinished:
        first, *others = report.unfinished
        more = f" (and {len(others)} more cells)" if others else ""
        raise UnfinishedError(f"unfinished, run the same command again to resume: {first}{more}")
    if self_contained:
        mark_finished(results, began_with)


def refuse(why: str, **options: Any) -> None:
    """InputError for an option that this kind of file does not take."""
    from trueline.core.errors import InputError

    for name, value in options.items():
        if value is not None:
            raise InputError(
                f"--{name.replace('_', '-')} {value} does not go with this file: {why}; leave it out."
            )


def run_methods(file: Path, out: Path | None, *, budget: str | None, only: str | None, dry_run: bool) -> None:
    """Run a comparison of methods end to end, or only print how much there is to do."""
    from trueline.core.errors import UnfinishedError
    from trueline.core.threads import use_available_cores
    from trueline.reports.comparison import comparison_markdown, summary, write_comparison
    from trueline.studies.comparison.results import read_comparison_results
    from trueline.studies.comparison.run import run_comparison
    from trueline.studies.comparison.spec import read_comparison
    from trueline.studies.training_price import budget_words

    from .progress import Bars

    spec = read_comparison(file, budget)
    if only is not None:
        spec = spec.only([title.strip() for title in only.split(",")])
    if dry_run:
        trials = sum(method.trials for method in spec.methods) * len(spec.development)
        arms = sum(len(method.levels) for method in spec.methods) * len(spec.evaluation) * len(spec.seeds)
        typer.echo(
            f"{len(spec.methods)} methods: {trials} tuning trials on {len(spec.development)} development worlds, then "
            f"{arms} arms on {len(spec.evaluation)} unseen worlds with {len(spec.seeds)} seeds, "
            f"{len(spec.measures)} measures each."
        )
        typer.echo(budget_words(spec))
        return
    use_available_cores()
    folder = out or Path("runs") / spec.name
    bars = Bars()
    report, _ = run_comparison(spec, folder, progress=bars)
    with bars.bar("estimating and writing the report", 1):
        compared = read_comparison_results(folder)
        path = write_comparison(compared, folder / "report.html")
        (folder / "report.md").write_text(comparison_markdown(compared), encoding="utf-8")
    typer.echo(summary(compared))
    typer.echo(f"{report.made} verdicts made, {report.stored} were there already.")
    typer.echo(str(path.resolve()))
    if report.unfinished:
        raise UnfinishedError(f"unfinished, run the same command again to resume: {report.unfinished[0]}")
