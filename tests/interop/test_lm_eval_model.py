"""lm-eval through a Trueline target: its own tasks give what its own hf model gives."""

import json
from types import SimpleNamespace

import pytest
import yaml

from golden.harness import run_harness, run_with, small_model, task_file
from golden.test_lm_eval_parity import DOCUMENTS, QUESTIONS, TEXTS, arc_row, arc_task
from measures.support import ScriptedTarget
from trueline.core.errors import InputError, NotMeasurableError
from trueline.core.messages import user
from trueline.models.engine import Engine
from trueline.models.local import LocalTarget

pytest.importorskip("lm_eval")
pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]

ROWS = [arc_row(*question) for question in QUESTIONS]
ROLLING = {"output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{page}}",
           "metric_list": [{"metric": "word_perplexity"}, {"metric": "bits_per_byte"}]}  # fmt: skip
CLOZE = {"output_type": "loglikelihood", "doc_to_text": "{{head}}", "doc_to_target": "{{tail}}", "target_delimiter": "",
         "metric_list": [{"metric": "perplexity"}, {"metric": "acc"}]}  # fmt: skip
OPEN = {"output_type": "generate_until", "doc_to_text": "Question: {{question}}\nAnswer:", "doc_to_target": "honey",
        "metric_list": [{"metric": "exact_match"}],
        "generation_kwargs": {"until": ["\n\n"], "do_sample": False, "max_gen_toks": 12}}  # fmt: skip


def lm(target):
    from trueline.interop.lm_eval_model import TruelineLM

    return TruelineLM(target)


def local(model, tokenizer):
    return LocalTarget.from_module(model, tokenizer, name="m", engine=Engine())


@pytest.mark.parametrize("bos", [True, False], ids=["bos", "no bos"])
def test_its_results_are_those_of_lm_evals_own_model(bos):
    model, tokenizer = small_model(TEXTS, bos=bos)
    ours = lm(local(model, tokenizer))
    for config, rows in ((arc_task(), ROWS), (ROLLING, [{"page": page} for page in DOCUMENTS])):
        mine, theirs = run_with(ours, config, rows), run_harness(model, tokenizer, config, rows)
        assert mine.asked == theirs.asked and mine.scores.keys() == theirs.scores.keys()
        for found, expected in zip(mine.logprobs, theirs.logprobs):
            assert found == pytest.approx(expected, abs=1e-3)
        assert mine.scores == pytest.approx(theirs.scores, rel=1e-3)


def test_greedy_continuations_are_known_as_such():
    model, tokenizer = small_model(TEXTS, bos=True)
    ours = lm(local(model, tokenizer))
    heads = [{"question": q} for q, _, _ in QUESTIONS]
    mine, theirs = run_with(ours, OPEN, heads), run_harness(model, tokenizer, OPEN, heads)
    assert mine.said == theirs.said and any(mine.said)
    rows = []
    for head, said in zip(mine.asked, mine.said):
        rows += [{"head": head[0][0], "tail": said}, {"head": head[0][0], "tail": " zebra"}]
    rows = [row for row in rows if row["tail"].strip()]
    mine, theirs = run_with(ours, CLOZE, rows), run_harness(model, tokenizer, CLOZE, rows)
    assert mine.scores["acc"] == theirs.scores["acc"] > 0
    assert mine.scores["perplexity"] == pytest.approx(theirs.scores["perplexity"], rel=1e-3)


def test_a_named_model_runs_a_task_of_lm_evals_own_with_its_treatment():
    config = {**task_file("arc/arc_easy.yaml")}
    import trueline.interop.lm_eval_model  # noqa: F401 - registers the name

    plain = run_with("trueline", config, ROWS, model_args="pretrained=testbed")
    treated = {"pretrained": "testbed", "treatment": "self_reminder"}
    chatted = run_with("trueline", config, ROWS, model_args=treated, apply_chat_template=True)
    raw = run_with("trueline", config, ROWS, model_args=treated)
    assert raw.logprobs == plain.logprobs  # raw text has no turns
    assert chatted.logprobs != plain.logprobs and set(chatted.scores) == set(plain.scores)


def test_the_documented_command_line(tmp_path, monkeypatch, capsys):
    """On a machine with a GPU or without one, which lm-eval's default device supposes."""
    from lm_eval.__main__ import cli_evaluate

    import trueline.interop.lm_eval_model  # noqa: F401 - registers the name

    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    task = {**arc_task(), "task": "ours", "dataset_path": "json", "dataset_name": None, "test_split": "test"}
    task |= {"training_split": None, "validation_split": None}
    files = {"test": str(tmp_path / "rows.jsonl")}
    task["dataset_kwargs"] = {"data_files": files, "cache_dir": str(tmp_path / "cache")}
    (tmp_path / "ours.yaml").write_text(yaml.safe_dump(task))
    words = "lm-eval --model trueline --model_args pretrained=testbed:tiny --tasks ours --include_path"
    monkeypatch.setattr("sys.argv", [*words.split(), str(tmp_path)])
    cli_evaluate()
    assert "acc_norm" in capsys.readouterr().out


def test_conversations_reach_the_target_as_such():
    target = ScriptedTarget(likes=lambda prompt, text: -float(len(text)))
    model = lm(target)
    context = model.apply_chat_template([{"role": "user", "content": "Hi"}])
    asked = [SimpleNamespace(args=(context, text)) for text in ("a", "bcd")]
    assert model.loglikelihood(asked) == [(-1.0, False), (-3.0, False)]
    assert target.scored == [((user("Hi"),), ("a", "bcd"))]
    assert model.generate_until(
        [SimpleNamespace(args=(context, {"until": ["."], "temperature": 0.5, "do_sample": True}))]
    )
    assert (target.asked[-1][1].stop, target.asked[-1][1].temperature) == ((".",), 0.5)


def test_what_a_target_cannot_do_is_refused_and_a_failure_is_no_score():
    model = lm(ScriptedTarget())
    with pytest.raises(InputError, match="takes no 'num_beams'"):
        model.generate_until([SimpleNamespace(args=("Hi", {"num_beams": 4}))])
    with pytest.raises(InputError, match="writes text after the conversation"):
        model.generate_until(
            [SimpleNamespace(args=(model.apply_chat_template([{"role": "user", "content": "Hi"}]) + "x", {}))]
        )
    with pytest.raises(InputError, match="has its own chat template"):
        model.chat_template("other")

    def fails(prompt, text):
        raise NotMeasurableError("too long")

    with pytest.raises(NotMeasurableError, match="too long"):
        lm(ScriptedTarget(likes=fails)).loglikelihood([SimpleNamespace(args=("Hi", "x"))])
    assert json.dumps(model.get_model_info())
