"""All measures on one real model: what each takes, and the whole.

    python benchmarks/full_pass.py FOLDER [--limit 100] [--jobs 2] [--threads 1] [--out runs/full_pass] [--only bbq]

Each of ``--jobs`` processes takes one measure after another, and keeps the model.

Measures that need a user's list get a small one made here from public texts (a real list needs the model's own
training data, so read their times, not their values); those that need the testbed are named and left out.
Printed for each measure: CPU and wall seconds, the headline metric, verdicts and missing ones. Each is a
study of its own: ``trueline report OUT/MEASURE`` shows it.
"""

import argparse
import json
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
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
    try:
        run_study(make_plan(spec), out / measure)
    except TruelineError as error:
        return f"{'':17}{measure:24} left out: {error}"
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
    parser.add_argument("--jobs", type=int, default=1, help="measures at once, each in a process of its own")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process")
    parser.add_argument("--out", type=Path, default=Path("runs/full_pass"))
    parser.add_argument("--only", action="append", choices=sorted(names("measure")))
    options = parser.parse_args()
    if options.out.exists():
        parser.error(
            f"{options.out} is there, and what it holds would take no time: remove it, or give another --out"
        )
    options.out.mkdir(parents=True)
    given = lists(options.out, options.limit)
    wall = time.perf_counter()
    print("  CPU s  wall s  measure", flush=True)
    with ProcessPoolExecutor(
        options.jobs, get_context("spawn"), initializer=torch.set_num_threads, initargs=(options.threads,)
    ) as pool:
        asked = {
            pool.submit(one, name, given.get(name, {}), options.model, options.limit, options.out): name
            for name in options.only or names("measure")
        }
        failed = False
        for number, done in enumerate(as_completed(asked), 1):
            error = done.exception()
            failed = failed or error is not None
            line = done.result() if error is None else f"{'':17}{asked[done]:24} FAILED: {error!r}"
            print(f"{line}  ({number} of {len(asked)})", flush=True)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{spent.ru_utime + spent.ru_stime:7.1f} {time.perf_counter() - wall:7.1f}  all, starting included")
    sys.exit(failed)


if __name__ == "__main__":
    main()
