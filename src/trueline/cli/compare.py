"""trueline compare."""

from typing import Annotated

import typer

from .options import StudyFolder


def compare(
    folder: StudyFolder,
    before: Annotated[str, typer.Argument(metavar="A", help="An arm's label, e.g. none.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Another arm's label, e.g. 'dpo beta=0.05'.")],
) -> None:
    """Every metric of two arms on the same items, with the paired change.

    Example: trueline compare runs/demo none 'dpo beta=0.05'
    """
    from rich.console import Console

    from trueline.studies.compare import compare_arms

    from .tables import comparison_table

    comparison_table(compare_arms(folder, before, after), Console())
