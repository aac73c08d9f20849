"""A finished study is known before any model is loaded.

Only for studies whose models, worlds and items all come with the package, as the demo's do: there the bytes
of the package and the versions of what it computes with decide every verdict. A run that left nothing over is
marked with their digest and its number of verdicts. While the plan and both still hold, its report can be
written again at once.

Example: ``results = finished_results(preset("demo"), Path("runs/demo"))`` gives None unless that run is done.
"""

from importlib.resources import files
from pathlib import Path

from trueline.core.fingerprint import file_digest, fingerprint
from trueline.judges.card_folder import cards_folder

from .results import StudyResults, open_store, read_results
from .run import versions
from .spec import StudySpec

MARK = "finished"


def mark_finished(results: StudyResults, began_with: str) -> None:
    """Note in the store that every verdict is there, unless the package has changed since the run began."""
    if began_with == made_of():
        results.store.put_meta({MARK: {"made_of": began_with, "verdicts": results.verdict_count}})


def finished_results(spec: StudySpec, out: Path) -> StudyResults | None:
    """The results of a marked study of which nothing has changed and no row was lost or altered, else None."""
    if not (out / "store.sqlite").is_file():
        return None
    meta = open_store(out).meta("")
    mark, planned = meta.get(MARK, {}), meta.get("plan", {}).get("spec")
    if planned != spec.model_dump(mode="json") or mark.get("made_of") != made_of():
        return None
    results = read_results(out)
    whole = results.verdict_count == mark["verdicts"] and results.store.verify().whole
    return results if whole else None


def made_of() -> str:
    """A digest of the package's files, of the cards that its judges may find, and of the versions in use."""
    package = Path(str(files("trueline")))
    shipped = [path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return fingerprint(
        {
            "package": {path.relative_to(package).as_posix(): file_digest(path) for path in shipped},
            "cards": {path.name: file_digest(path) for path in cards_folder().glob("*.json")},
            "versions": versions(),
        }
    )
