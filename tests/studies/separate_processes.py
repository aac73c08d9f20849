"""A toy study in processes of its own, which a test may kill at any moment.

    python separate_processes.py kill STORE OUT LOG ROUNDS SEED    start it ROUNDS times and kill each with SIGKILL
    python separate_processes.py together STORE OUT LOG COUNT      COUNT processes run it on one store at once

Every question that the target gets becomes a line of LOG: the round (or process) and the request's key. The killed
child may ask only as many questions as its round was given, so it never ends before it is killed, however slow or
fast the machine is. It is killed a moment, drawn at random, after a question, drawn at random: while it starts, asks,
commits, or waits.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import toy_study

from trueline import catalog
from trueline.core.fingerprint import canonical
from trueline.core.messages import Completion, Prompt, Sampling, as_json
from trueline.studies import plan as plan_module
from trueline.studies import store as store_module
from trueline.studies.run import run_study
from trueline.studies.spec import parse_spec
from trueline.studies.store import Store, response_key
from trueline.studies.subjects import Subject

ITEMS = 500
AT_ONCE = 4  # questions in flight


class Served(toy_study.Counter):
    """Answers ``AT_ONCE`` questions at a time, after a moment, in any order, while it may ask."""

    def __init__(self, name: str, log: Path, may_ask: Callable[[], bool]) -> None:
        super().__init__()
        self.who, self.may_ask = name, may_ask
        self.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.places = asyncio.Semaphore(AT_ONCE)
        self.random = random.Random(name)

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        async with self.places:
            while not self.may_ask():
                await asyncio.sleep(0.001)
            request = canonical({"generate": as_json(prompt), "sampling": asdict(sampling)})
            os.write(self.log, f"{self.who} {response_key('counter', request)}\n".encode())
            await asyncio.sleep(self.random.random() * 0.002)
            return await super().generate(prompt, sampling)


def run(place: str, out: Path, target: toy_study.Counter) -> None:
    """The study of the toy target, to its end."""
    plan_module.load_subject = lambda spec: Subject(target=target)  # type: ignore[assignment]
    study = {
        "name": "toy",
        "targets": ["toy"],
        "measures": [{"name": "parity", "count": ITEMS}],
        "store": place,
    }
    run_study(plan_module.make_plan(parse_spec(study)), out)


def forked(work: Callable[[], None]) -> int:
    """Do it in a child process; its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def kill(place: str, out: Path, log: Path, rounds: int, seed: int) -> None:
    """Kill the study ``rounds`` times; prints what was stored after each kill, as JSON."""
    drawn = random.Random(seed)
    stored, asked_before = [], 0
    for number in range(rounds):
        reads, writes = os.pipe()

        def work(number: int = number, reads: int = reads, writes: int = writes) -> None:
            os.close(writes)
            run(place, out, Served(f"round{number}", log, lambda: _take(reads)))

        child = forked(work)
        os.close(reads)
        may_ask = drawn.randint(0, 2 * ITEMS // rounds - AT_ONCE)
        os.write(writes, b"." * may_ask)
        _wait_for(log, asked_before + drawn.randint(0, may_ask))
        time.sleep(drawn.random() * 0.03)
        os.kill(child, signal.SIGKILL)
        os.close(writes)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
        asked_before = _lines(log)
        store = Store(place)
        stored.append(sorted(store.response_keys("counter")))
        store.close()
    print(json.dumps(stored))


def _lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def _wait_for(log: Path, lines: int) -> None:
    while _lines(log) < lines:
        time.sleep(0.001)


def _take(pipe: int) -> bool:
    os.set_blocking(pipe, False)
    try:
        return bool(os.read(pipe, 1))
    except BlockingIOError:
        return False


def together(place: str, out: Path, log: Path, count: int) -> None:
    """Run the study in several processes at once; each must end well."""
    children = [
        forked(lambda n=n: run(place, out, Served(f"process{n}", log, lambda: True)))  # type: ignore[misc]
        for n in range(count)
    ]
    for child in children:
        _, status = os.waitpid(child, 0)
        assert status == 0, status


if __name__ == "__main__":
    catalog.MEASURES["parity"] = "toy_study:Parity"  # type: ignore[index]
    # A small study that commits as often as a long one: every few answers where it is killed at every few.
    store_module.FLUSH_SECONDS, store_module.FLUSH_ROWS = (0.02, 4) if sys.argv[1] == "kill" else (0.1, 50)
    verb, place, out, log, *numbers = sys.argv[1:]
    {"kill": kill, "together": together}[verb](place, Path(out), Path(log), *map(int, numbers))
