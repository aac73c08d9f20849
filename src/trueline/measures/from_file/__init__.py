"""A measure from a user's own CSV or JSON lines and a short YAML file: no code.

``definition.py`` is what the file may say, ``items.py`` reads its rows, ``kinds.py`` are the measures that a file
can be: multiple choice, exact or contained answers, refusals, a judge's word.
"""

from .definition import Definition, read_definition
from .kinds import FileMeasure, measure_of_file, measure_of_record

__all__ = ["Definition", "FileMeasure", "measure_of_file", "measure_of_record", "read_definition"]
