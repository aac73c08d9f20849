"""What pages of one HTML file share: templates, numbers in short, writing whole or not at all."""

import os
import tempfile
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def environment() -> Environment:
    """Templates that escape everything and refuse names that do not exist."""
    made = Environment(
        loader=PackageLoader("trueline.reports"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(quantity=quantity, duration=duration)
    return made


def write_page(path: Path, text: str) -> Path:
    """Write a page atomically; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".html")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def quantity(value: float | int | None) -> str:
    """A large number in short: 12 k, 3.4 M, 5.6e14."""
    if not value:
        return "0" if value == 0 else "–"
    for limit, unit in ((1e12, ""), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value:.2e}" if limit == 1e12 else f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """Seconds as people say them."""
    if not seconds:
        return "–"
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
