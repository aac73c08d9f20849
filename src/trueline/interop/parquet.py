"""Parquet: ``estimates.parquet`` and ``verdicts.parquet``, with the study's plan hash and versions in their metadata.

Example: ``duckdb -c "select arm, measure, metric, value, low, high, n, missing from 'export/estimates.parquet'"``
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trueline.core.errors import MissingExtraError
from trueline.studies.results import StudyResults

from . import tables

EXTRA = "parquet"


def write_parquet(results: StudyResults, folder: Path) -> list[Path]:
    """Write both tables into a folder; returns their paths.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    written = []
    about = {
        "trueline": results.versions.get("trueline", ""),
        "study": results.name,
        "plan": str(results.plan.get("hash", "")),
        "versions": json.dumps(dict(results.versions), sort_keys=True),
    }
    for name, columns, rows in (
        ("estimates", tables.ESTIMATES, tables.estimates(results)),
        ("verdicts", tables.VERDICTS, tables.verdicts(results)),
    ):
        path = folder / f"{name}.parquet"
        _write(path, columns, rows, about)
        written.append(path)
    return written


def _write(
    path: Path, columns: Mapping[str, type], rows: Iterable[Mapping[str, Any]], about: Mapping[str, str]
) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError(feature="Parquet", extra=EXTRA) from error
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()], metadata=dict(about))
    parquet.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)
