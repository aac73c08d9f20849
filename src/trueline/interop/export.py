"""A study in another tool's format."""

from pathlib import Path

from trueline.core.errors import InputError
from trueline.studies.results import read_results
from trueline.studies.store import make_folder

from .formats import Format


def export(folder: Path | str, to: Format, out: Path, *, arm: str | None = None) -> list[Path]:
    """Write a study into the folder ``out``; returns the files written.

    Raises:
        InputError: the folder holds no study, ``arm`` does not fit, or the format's extra is not installed.
    """
    if arm is not None and to is not Format.MODEL_CARD:
        raise InputError(f"--arm {arm!r} goes with --to {Format.MODEL_CARD} only; {to} holds all arms.")
    results = read_results(folder)
    make_folder(out)
    if to is Format.INSPECT:
        from .inspect_log import write_inspect_logs

        return write_inspect_logs(results, out)
    if to is Format.PARQUET:
        from .parquet import write_parquet

        return write_parquet(results, out)
    from .model_card import write_model_card

    return write_model_card(results, out, arm)
