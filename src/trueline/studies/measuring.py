"""Measures by name: of the catalogue, or a user's own file (YAML), which is then called as the file says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trueline.catalog import find, names
from trueline.core.errors import InputError
from trueline.core.measure import Measure
from trueline.measures.from_file.definition import is_measure_file, read_definition

FILE = "measure_file"  # the key under which a specification keeps the path that the user wrote


def named_measure(value: Any) -> Any:
    """What a study says of one measure, with the path of a measure file turned into the measure's name.

    Raises:
        InputError: the file cannot be used, or takes the name of a measure of the catalogue.
    """
    given = {"name": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping) or not is_measure_file(str(given.get("name", ""))):
        return given
    path = str(given["name"])
    name = read_definition(Path(path)).name
    if name in names("measure"):
        raise InputError(f"{path}: the name {name!r} is a measure of Trueline's catalogue; choose another.")
    return {**given, "name": name, FILE: path}


def measure_class(name: str, file: str | None) -> type[Measure]:
    """The class of a measure that a study names."""
    if file is None:
        found: type[Measure] = find("measure", name)
        return found
    from trueline.measures.from_file import measure_of_file

    return measure_of_file(Path(file))


def planned_class(plan: Mapping[str, Any], name: str) -> type[Measure]:
    """The class of a measure of a stored plan; a user's own is made again from what the plan keeps of it."""
    record = plan.get("own_measures", {}).get(name)
    if record is None:
        return measure_class(name, None)
    from trueline.measures.from_file import measure_of_record

    return measure_of_record(record)
