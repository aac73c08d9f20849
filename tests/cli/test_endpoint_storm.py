"""A study of an endpoint under a storm of faults: what is stored is right at every moment, and all of it in the end.

Each fault carries the opposite of the true answer wherever it has room for one, so that a fault that became a score
would show.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from trueline.core.errors import InputError, UnfinishedError
from trueline.studies.plan import make_plan
from trueline.studies.results import open_store, read_results
from trueline.studies.run import run_study
from trueline.studies.spec import parse_spec

from .stub_server import StubServer

pytestmark = pytest.mark.usefixtures("toy_measures")
ITEMS = 60
STORMY = 150  # requests until the server is well


def said(text: str, model: str = "tiny") -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
    return {"id": "1", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}


def answer(number: int) -> str:
    return "hello" if number % 2 else "go away"


# (status, headers, body) of a fault, from the answer that would be wrong; without a body the connection is closed
FAULTS: Mapping[str, Callable[[str], tuple[int, dict[str, str], bytes]]] = {
    "429": lambda wrong: (429, {"Retry-After": "0.01"}, json.dumps(said(wrong)).encode()),
    "500": lambda wrong: (500, {}, json.dumps(said(wrong)).encode()),
    "closed": lambda wrong: (200, {}, b""),
    "cut": lambda wrong: (200, {}, json.dumps(said(wrong)).encode()[:-20]),
    "plain text": lambda wrong: (200, {}, wrong.encode()),
    "no finish": lambda wrong: (200, {}, json.dumps(said(wrong)).replace('"stop"', "null").encode()),
    "an error": lambda wrong: (200, {}, json.dumps(said(wrong) | {"error": {"message": "busy"}}).encode()),
    "a hang": lambda wrong: (200, {}, json.dumps(said(wrong)).encode()),
}


class Storm(StubServer):
    """Its first ``STORMY`` requests mostly fail; every fiftieth of them is answered by another model."""

    def __init__(self) -> None:
        self.drawn = random.Random(5)
        super().__init__()

    def reply(self, number: int, body: Mapping[str, Any]) -> tuple[int, dict[str, str], bytes]:
        item = int("".join(filter(str.isdigit, body["messages"][-1]["content"])) or 0)
        stormy = number <= STORMY
        with self._lock:
            fault = self.drawn.choice([*FAULTS, *[""] * (len(FAULTS) // 2)]) if stormy else ""
        if stormy and number % 50 == 49:
            return 200, {}, json.dumps(said(answer(item + 1), model="huge")).encode()
        if fault == "a hang":
            self.gate.wait(1.0)
        if fault:
            return FAULTS[fault](answer(item + 1))
        return 200, {}, json.dumps(said(answer(item))).encode()


@pytest.fixture
def storm() -> Iterator[Storm]:
    server = Storm()
    yield server
    server.close()


def test_no_fault_is_ever_a_score(storm: Storm, tmp_path: Path) -> None:
    options = {"retries": 1, "backoff_s": 0.01, "timeout_s": 0.5, "deadline_s": 5, "concurrency": 16}
    study = {
        "name": "storm",
        "targets": [{"model": storm.address, "endpoint": options}],
        "measures": [{"name": "greeting", "count": ITEMS}],
    }
    stops: dict[str, int] = {"finished": 0, "another model": 0, "unfinished": 0}
    while not stops["finished"]:
        assert sum(stops.values()) < 300, stops
        try:
            report = run_study(make_plan(parse_spec(study)), tmp_path)
            stops["unfinished" if report.unfinished else "finished"] += 1
        except UnfinishedError:
            stops["unfinished"] += 1
        except InputError as error:
            assert "'huge'" in str(error)
            stops["another model"] += 1
        if (tmp_path / "store.sqlite").exists():
            check(tmp_path)
    assert stops["unfinished"] and stops["another model"]
    (cell,) = read_results(tmp_path).cells
    assert (cell.state, cell.done, cell.missing) == ("done", ITEMS, 0)


def check(folder: Path) -> None:
    """Every verdict that is there is the true one."""
    store = open_store(folder)
    assert store.verify().whole
    for cell in store.meta("plan")[""]["cells"]:
        for row in store.verdicts(cell["key"]).values():
            assert row.verdict.reason is None
            assert row.verdict.values["polite"] == float(int(row.verdict.item) % 2)
    store.close()
