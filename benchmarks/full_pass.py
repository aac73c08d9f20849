"""All measures on one real model, one after another in one process: what each takes, and the whole.

    python benchmarks/full_pass.py FOLDER [--limit 100] [--threads 1] [--out runs/full_pass] [--only bbq]

Measures that need a user's list get a small one made here from public texts (a real list needs the model's own
training data, so read their times, not their values); those that need the testbed are named and left out.
Printed for each measure: CPU and wall seconds, the headline metric, verdicts and missing ones. The study is an
ordinary one: ``trueline report OUT`` shows it.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from trueline.catalog import names
from trueline.core.errors import TruelineError
from trueline.data.loaders import load_text
from trueline.data.sources import source
from trueline.studies.plan import make_plan
from trueline.studies.results import read_results
from trueline.studies.run import run_study
from trueline.studies.spec import parse_spec

WORDS = 60


def lists(folder: Path, count: int) -> dict[str, dict[str, Any]]:
    """Lists for the measures that ask for one, by measure."""
    name = "tinyshakespeare"
    words = load_text(name, next(iter(source(name).files))).split()
    texts = [" ".join(words[start : start + WORDS]) for start in range(0, count * WORDS, WORDS)]
    rows: dict[str, list[dict[str, Any]]] = {
        "membership_inference": [{"text": text, "member": n % 2 == 0} for n, text in enumerate(texts)],
        "discoverable_extraction": [{"document": text + " " + text[::-1]} for text in texts],
        "k_eidetic_extraction": [
            {"prefix": text[:40], "string": text[40:60], "documents": 1} for text in texts
        ],
        "canary_exposure": [
            {
                "prefix": f"The PIN of {text.split()[0]} is ",
                "secret": f"{n * 37 % 10000:04}",
                "format": "####",
            }
            for n, text in enumerate(texts)
        ],
    }
    found: dict[str, dict[str, Any]] = {}
    for measure, made in rows.items():
        path = folder / f"{measure}.jsonl"
        path.write_text("\n".join(map(json.dumps, made)), encoding="utf-8")
        found[measure] = {"path": str(path)}
    return found


def one(measure: str, options: dict[str, Any], model: str, limit: int, out: Path) -> str:
    """Run one measure into the study's folder, and what to print of it."""
    spec = parse_spec(
        {
            "name": f"full pass, {measure}",
            "targets": [{"model": model, "dtype": "float32"}],
            "measures": [{"name": measure, **options}],
            "limit": limit,
        }
    )
    cpu, wall = time.process_time(), time.perf_counter()
    run_study(make_plan(spec), out / measure)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    (cell,) = read_results(out / measure).cells
    shown = cell.reason or "no headline"
    if cell.state == "done" and cell.headline is not None:
        found = cell.headline.estimate
        shown = f"{cell.headline.metric.name} {found.value} [{found.low}, {found.high}]"
    return f"{cpu:7.1f} {wall:7.1f}  {measure:24} {cell.done:4} done {cell.missing:4} missing  {shown}"


def main() -> None:
    """Parse options and run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/full_pass"))
    parser.add_argument("--only", action="append", choices=sorted(names("measure")))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    given = lists(options.out, options.limit)
    cpu, wall = time.process_time(), time.perf_counter()
    print("  CPU s  wall s  measure")
    for measure in options.only or names("measure"):
        try:
            print(one(measure, given.get(measure, {}), options.model, options.limit, options.out), flush=True)
        except TruelineError as error:
            print(f"{'':17}{measure:24} left out: {error}", flush=True)
    print(f"{time.process_time() - cpu:7.1f} {time.perf_counter() - wall:7.1f}  all")


if __name__ == "__main__":
    main()
