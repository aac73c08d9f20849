"""trueline study."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Detect, DryRun, Limit, MaxCost, StudyFolder

app = typer.Typer(help="Run a study file, or verify what a study stored.", no_args_is_help=True)


@app.command("run")
def run_study_file(
    file: Annotated[Path, typer.Argument(help="A study file (YAML).")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for store and report; default runs/NAME.")
    ] = None,
    dry_run: DryRun = False,
    max_cost: MaxCost = None,
    limit: Limit = None,
    detect: Detect = None,
    examples: Annotated[
        int | None, typer.Option("--examples", min=1, help="Training examples of trained treatments.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", help="One of the budgets that a comparison file names, e.g. small."),
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", help="Methods of a comparison file, by commas; others can follow.")
    ] = None,
) -> None:
    """Plan, price, run, resume; then print the table and write the report.

    FILE is a study, or a comparison of methods (it has "methods").

    Example: trueline study run studies/real.yaml --dry-run
    """
    from trueline.studies.spec import is_comparison, read_spec

    from .runs import refuse, run, run_methods

    if is_comparison(file):
        given = {"limit": limit, "detect": detect, "examples": examples, "max_cost": max_cost}
        refuse("a comparison file says it itself", **given)
        run_methods(file, out, budget=budget, only=only, dry_run=dry_run)
        return
    refuse("only a comparison of methods has it", budget=budget, only=only)
    spec = read_spec(file)
    if limit is not None:
        limits = {name: min(n, limit) for name, n in spec.limits.items()}
        spec = spec.model_copy(update={"limit": limit, "limits": limits})
    if detect is not None:
        spec = spec.model_copy(update={"detect": detect})
    if examples is not None:
        spec = spec.model_copy(update={"examples": examples})
    run(spec, out or Path("runs") / spec.name, dry_run=dry_run, max_cost=max_cost)


@app.command()
def verify(folder: StudyFolder) -> None:
    """Recompute every key and digest of a study's store; exit 0 when all is whole.

    Example: trueline study verify runs/demo
    """
    from trueline.core.errors import UnfinishedError
    from trueline.studies.results import open_store

    report = open_store(folder).verify()
    typer.echo(f"{report.responses} responses and {report.verdicts} verdicts.")
    if not report.whole:
        bad = [*report.corrupt, *report.dangling]
        raise UnfinishedError(
            f"{len(report.corrupt)} rows do not match their digests and {len(report.dangling)} verdicts lack "
            f"their responses (first: {bad[0]}); run the study again and it redoes them."
        )
    typer.echo("All whole.")
