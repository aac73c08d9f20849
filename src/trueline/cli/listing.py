"""trueline list."""

from enum import StrEnum
from typing import Annotated

import typer


class Kind(StrEnum):
    """What can be listed."""

    MEASURES = "measures"
    ATTACKS = "attacks"
    TREATMENTS = "treatments"
    JUDGES = "judges"
    SUITES = "suites"


def listing(kind: Annotated[Kind, typer.Argument(help="What to list.")] = Kind.MEASURES) -> None:
    """List measures, attacks, treatments, judges or suites, with one line each.

    Example: trueline list measures
    """
    from rich.console import Console
    from rich.table import Table

    from trueline.catalog import find, names
    from trueline.studies.presets import SUITES

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    if kind is Kind.SUITES:
        for name, (limits, duration) in SUITES.items():
            table.add_row(name, f"{', '.join(limits)} ({duration} on two cores with a 6 M parameter model)")
    else:
        singular = kind.value.removesuffix("s")
        for name in names(singular):
            cls = find(singular, name)
            words = " ".join((cls.__doc__ or "").partition("\n\n")[0].split())
            words = words.replace("``", "").replace("resources.", "")  # as a study file names them
            component = getattr(cls, "component", "")
            table.add_row(name, f"[dim]{component}[/dim] {words}" if component else words)
    Console().print(table)
