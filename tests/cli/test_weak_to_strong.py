"""trueline weak-to-strong: what it refuses; the way itself is tested in tests/studies."""

from .running import refused


def test_without_data_both_models_are_of_the_testbed(tmp_path):
    rows = tmp_path / "test.jsonl"
    rows.write_text('{"prompt": "a", "answer": "b"}\n')
    assert "needs --data" in refused("weak-to-strong", "testbed:tiny", "testbed:tiny", "--test", rows)
    assert "unknown skill 'singing'" in refused(
        "weak-to-strong", "testbed:tiny", "testbed:tiny", "--skill", "singing"
    )
    assert "needs 10 or more" in refused("weak-to-strong", "testbed:tiny", "testbed:tiny", "--data", rows)
