"""trueline data contamination: the table, the file of ids, and a refusal."""

import json

from measures.conftest import real_data  # noqa: F401
from trueline.catalog import make
from trueline.core.messages import last_user

from .running import done, refused


def test_found_items_are_shown_and_written(tmp_path, real_data):  # noqa: F811
    (first, *_) = make("measure", "xstest", {}).items()
    path, out = tmp_path / "train.jsonl", tmp_path / "found.json"
    path.write_text(json.dumps({"text": f"Q: {last_user(first.prompt)}"}))
    answer = done("data", "contamination", path, "-m", "xstest", "-m", "simple_safety_tests", "--out", out)
    assert "line 1" in answer.out and "1 of 2 measures: no item found" in answer.out
    found = {one["measure"]: one["rows"] for one in json.loads(out.read_text())}
    assert found == {"xstest": {first.id: 1}, "simple_safety_tests": {}}
    assert "unknown measure" in refused("data", "contamination", path, "-m", "nothing")
