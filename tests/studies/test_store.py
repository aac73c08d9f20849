"""The store keeps what it is given, in a folder and on PostgreSQL alike: the same tests for both."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from toy_study import Counter

from trueline.core.errors import InputError
from trueline.core.fingerprint import canonical
from trueline.core.verdicts import Verdict
from trueline.studies.plan import make_plan
from trueline.studies.results import open_store, read_results
from trueline.studies.run import RunReport, run_study
from trueline.studies.spec import parse_spec
from trueline.studies.store import Store, StoredVerdict, StoreFullError
from trueline.studies.store_tables import open_engine, without_password

RIGHT = Verdict(item="1", values={"right": 1.0}, cluster="1")
# What JSON, SQL and encodings trip over: quotes, a NUL, a lone backslash, letters outside of the BMP.
AWKWARD = 'it\'s "50 %" :name \\ \x00 \n 𝔘nicode ✓'


def alter(place: str, statement: str) -> int:
    """Change a store's rows behind its back; how many."""
    engine = open_engine(place if "://" in place else f"sqlite:///{place}/store.sqlite")
    with engine.begin() as connection:
        count = connection.execute(sa.text(statement)).rowcount
    engine.dispose()
    return count


def run(place: str, out: Path, **changes: object) -> RunReport:
    study = {"name": "toy", "targets": ["toy"], "measures": ["parity"], "store": place, **changes}
    return run_study(make_plan(parse_spec(study)), out)


def test_what_is_added_is_read_back(place: str) -> None:
    store = Store(place)
    key = store.add_response("target", '{"q": 1}', f'[{{"text": "{"x" * 10}", "tokens": 3}}]')
    store.add_verdict("cell", "identity", RIGHT, [key])
    store.add_verdict("cell", canonical(AWKWARD), Verdict(item="2", reason=AWKWARD), [])
    before = store.verdicts("cell")  # what is queued counts too
    store.put_meta({"plan": {"words": AWKWARD}, "plan:more": 1.5})
    store.add_labels(
        [("cell", "1", {"metric": "m", "value": 1.0}), ("cell", "1", {"metric": "m", "value": 0.0})]
    )
    store.add_labels([])
    store.close()
    store = Store(place, read_only=True)
    assert store.verdicts("cell") == before and len(before) == 2
    assert StoredVerdict(verdict=RIGHT, responses=(key,)) in before.values()
    assert store.response_keys("target") == {key} == store.responses("target").keys()
    assert store.response(key) == ({"q": 1}, [{"text": "x" * 10, "tokens": 3}])
    assert store.response("none") is None and store.responses("other") == {}
    assert store.usage("target").tokens == 3
    assert store.meta("plan") == {"": {"words": AWKWARD}, ":more": 1.5}
    assert store.labels("cell") == [("1", {"metric": "m", "value": 0.0})]
    report = store.verify()
    assert report.whole and (report.responses, report.verdicts) == (1, 2) and report.counts == {"cell": 2}
    store.close()


def test_of_two_answers_the_first_stays_and_a_verdict_rests_on_what_stands(place: str) -> None:
    """Two processes ask the same question of a model that does not answer the same twice."""
    first, second = Store(place), Store(place)
    for store, answer in ((first, "yes"), (second, "no")):
        key = store.add_response("target", "question", f'["{answer}"]')
        store.add_verdict("cell", "about it", Verdict(item=answer, values={"v": 1.0}), [key])
        store.add_verdict("cell", f"about nothing, by {answer}", RIGHT, [])
    first.flush()
    second.flush()
    second.add_verdict("cell", "about it too", RIGHT, [key])
    second.close()
    first.close()
    assert (first.superseded, second.superseded) == (0, 2)
    store = Store(place, read_only=True)
    assert store.responses("target") == {key: '["yes"]'}
    assert sorted(row.verdict.item for row in store.verdicts("cell").values()) == ["1", "1", "yes"]
    assert store.verify().whole
    store.close()


COLUMNS = ["target", "request", "result", "digest"], ["cell", "identity", "content", "digest"]
ALTERED = [
    *(("responses", column) for column in COLUMNS[0]),
    *(("verdicts", column) for column in COLUMNS[1]),
]


@pytest.mark.parametrize(("table", "column"), ALTERED)
def test_one_altered_row_is_found_and_redone_alone(
    counter: Counter, place: str, tmp_path: Path, table: str, column: str
) -> None:
    assert run(place, tmp_path).made == 20
    assert counter.asked == 20
    before = read_results(place).cells
    one = f"(SELECT min(key) FROM {table})"
    changed = (
        f"UPDATE {table} SET {column} = replace({column}, substr({column}, 3, 1), '~') WHERE key = {one}"
    )
    assert alter(place, changed) == 1
    store = open_store(place)
    found = store.verify()
    store.close()
    assert not found.whole and len(found.corrupt) == 1
    assert len(found.dangling) == (table == "responses")
    report = run(place, tmp_path)
    assert (report.made, report.stored, report.unfinished) == (1, 19, ())
    assert counter.asked == 20 + (table == "responses")
    store = open_store(place)
    assert store.verify().whole
    store.close()
    assert [cell.metrics for cell in read_results(place).cells] == [cell.metrics for cell in before]


def test_a_lost_row_is_redone(counter: Counter, place: str, tmp_path: Path) -> None:
    run(place, tmp_path)
    assert alter(place, "DELETE FROM responses WHERE key = (SELECT min(key) FROM responses)") == 1
    assert (run(place, tmp_path).made, counter.asked) == (1, 21)
    assert alter(place, "DELETE FROM verdicts WHERE key = (SELECT min(key) FROM verdicts)") == 1
    assert (run(place, tmp_path).made, counter.asked) == (1, 21)


def test_a_newer_store_is_refused(place: str) -> None:
    Store(place).close()
    alter(place, "UPDATE meta SET value = '99' WHERE name = 'schema'")
    with pytest.raises(InputError, match="newer Trueline"):
        Store(place)


def test_an_older_store_is_brought_up_to_date(place: str) -> None:
    store = Store(place)
    store.add_verdict("cell", "identity", RIGHT, [])
    store.close()
    alter(place, "DROP TABLE labels")
    alter(place, "UPDATE meta SET value = '1' WHERE name = 'schema'")
    old = Store(place, read_only=True)
    assert old.labels("cell") == [] and old.verify().whole
    old.close()
    store = Store(place)
    store.add_labels([("cell", "1", {"metric": "m", "value": 1.0})])
    assert len(store.labels("cell")) == 1 and len(store.verdicts("cell")) == 1
    store.close()


def test_a_shared_database_is_not_taken_from_another_study(
    counter: Counter, place: str, tmp_path: Path
) -> None:
    run(place, tmp_path)
    with pytest.raises(InputError, match="holds the study 'toy'; give 'other' a store of its own"):
        run(place, tmp_path, name="other")


def test_a_server_that_goes_away_leaves_the_rest_to_a_later_run(
    new_schema: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_schema()
    store = Store(url)
    store.add_verdict("cell", "first", RIGHT, [])
    store.flush()
    there = store._engine
    monkeypatch.setattr(store, "_engine", open_engine("postgresql://postgres@127.0.0.1:9/none"))
    store.add_verdict("cell", "second", RIGHT, [])
    for _ in range(2):
        with pytest.raises(
            StoreFullError, match="what was stored before is whole: see that its server is up"
        ):
            store.flush()
    with pytest.raises(StoreFullError):
        store.add_verdict("cell", "third", RIGHT, [])
    monkeypatch.setattr(store, "_engine", there)
    store.flush()
    assert len(Store(url, read_only=True).verdicts("cell")) == 2


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://me:hunter2@h/db", "cannot be kept in 'mysql'"),
        ("nonsense://", "cannot be kept in 'nonsense'"),
        ("postgresql://me:hunter2@h:port/db", "cannot be read; write a folder, or postgresql://"),
        ("postgresql://me:hunter2@127.0.0.1:9/db", "cannot open the store at postgresql"),
    ],
)
def test_what_cannot_be_a_store(url: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        Store(url)
    assert "hunter2" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_password_is_not_written_down() -> None:
    assert without_password("postgresql://me:hunter2@h/db") == "postgresql://me:***@h/db"
    assert without_password("runs/demo") == "runs/demo"
