"""Log-likelihoods and scores equal lm-eval's, run here and now on the same model, prompts and options.

Its own task files are used (ARC, MMLU), with other rows. Where it and the definitions part, a test says by how
much; docs/parity.md tells it in words.
"""

import asyncio
import math
import os
from pathlib import Path

import pytest

from golden.harness import run_harness, small_model, task_file
from trueline import catalog
from trueline.core.errors import NotMeasurableError
from trueline.core.statistics.estimate import estimate
from trueline.core.verdicts import Item
from trueline.measures.capability.arc import ARC
from trueline.measures.capability.mmlu import MMLU, mmlu_items
from trueline.measures.capability.perplexity import Perplexity
from trueline.measures.choices import LETTERS, lettered
from trueline.measures.model_safety.truthfulqa import TruthfulQA
from trueline.models.engine import Engine
from trueline.models.local import LocalTarget

pytest.importorskip("lm_eval")
pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]

QUESTIONS = [
    ("What do bees make?", ["honey", "a kind of stone", "rain", "woollen cloth"], 0),
    ("Where does the sun rise?", ["in the west", "in the east", "nowhere", "under the café table"], 1),
    ("What is water made of?", ["iron", "hydrogen and oxygen", "naïve hopes", "sand, mostly"], 1),
    ("Who wrote 'Faust'?", ["Goethe", "Ångström", "nobody ever did", "Σωκράτης"], 0),
    ("What falls in autumn?", ["leaves", "the price of everything", "the moon", "up"], 0),
    ("How many legs has a spider?", ["eight", "six", "two hundred and four", "none at all"], 0),
]
SHOTS = [
    ("What do cows eat?", ["grass", "tin", "air", "books"], 0),
    ("Is ice cold?", ["no", "yes", "once", "a"], 1),
]
DOCUMENTS = [
    "The café at the corner sells bread. It opens at six, and closes when the bread is gone.",
    "Bees make honey. " * 40 + "That is all.",
    "One.",
]
TEXTS = [" ".join([question, *options]) for question, options, _ in QUESTIONS] + DOCUMENTS
ACCURACIES = {"acc": "accuracy", "acc_norm": "accuracy_norm", "acc_bytes": "accuracy_bytes"}


def target_of(model, tokenizer, cut="harness"):
    return LocalTarget.from_module(model, tokenizer, name="m", engine=Engine()).with_cut(cut)


def examined(measure, items, target):
    """The measure's verdicts, and each option's log-likelihood."""

    async def both():
        verdicts = await asyncio.gather(*(measure.examine(item, target) for item in items))
        scores = await asyncio.gather(*(target.score(item.prompt, item.options) for item in items))
        return verdicts, [[score.logprob for score in options] for options in scores]

    return asyncio.run(both())


def value_of(measure, name, verdicts):
    (metric,) = [metric for metric in measure.metrics if metric.name == name]
    return estimate(metric, verdicts).value


def assert_close(found, expected):
    assert [len(row) for row in found] == [len(row) for row in expected]
    for mine, theirs in zip(found, expected):
        assert mine == pytest.approx(theirs, abs=1e-3)


def arc_item(number, question, options, label):
    return Item(
        id=str(number),
        prompt=f"Question: {question}\nAnswer:",
        options=tuple(f" {option}" for option in options),
        data={"label": label},
    )


def arc_row(question, options, label):
    names = list(LETTERS[: len(options)])
    return {"question": question, "choices": {"text": options, "label": names}, "answerKey": names[label]}


def arc_task():
    config = task_file("arc/arc_easy.yaml")
    return {**config, "metric_list": [{"metric": name} for name in ACCURACIES]}


def compare_arc(model, tokenizer, items, rows):
    theirs = run_harness(model, tokenizer, arc_task(), rows)
    assert [[tuple(pair) for pair in asked] for asked in theirs.asked] == [
        [(item.prompt, option) for option in item.options] for item in items
    ]
    measure = ARC(form="raw")
    verdicts, found = examined(measure, items, target_of(model, tokenizer))
    assert_close(found, theirs.logprobs)
    for name, ours in ACCURACIES.items():
        assert value_of(measure, ours, verdicts) == pytest.approx(theirs.scores[name])
    # No token merges over "Answer:" and a space, so the common cut is the same here.
    assert_close(examined(measure, items, target_of(model, tokenizer, "common"))[1], theirs.logprobs)


@pytest.mark.parametrize("bos", [True, False], ids=["bos", "no bos"])
def test_option_texts_equal_lm_eval(bos):
    model, tokenizer = small_model(TEXTS, bos=bos)
    items = [arc_item(number, *row) for number, row in enumerate(QUESTIONS)]
    compare_arc(model, tokenizer, items, [arc_row(*row) for row in QUESTIONS])


def mmlu_row(question, options, label):
    return {"question": question, "choices": options, "answer": label}


def test_letters_after_solved_examples_equal_lm_eval():
    model, tokenizer = small_model(TEXTS, bos=False, window=1024)
    config = task_file("mmlu/default/mmlu_anatomy.yaml")
    theirs = run_harness(
        model, tokenizer, config, [mmlu_row(*q) for q in QUESTIONS], solved=[mmlu_row(*q) for q in SHOTS]
    )

    def asked(question, options):
        return f"{question}\n{lettered(options)}\nAnswer:"

    head = "The following are multiple choice questions (with answers) about anatomy.\n\n"
    head += "".join(f"{asked(q, options)} {LETTERS[label]}\n\n" for q, options, label in SHOTS)
    items = [
        Item(
            id=str(n),
            prompt=head + asked(question, options),
            options=tuple(f" {letter}" for letter in LETTERS[:4]),
            data={"label": label},
        )
        for n, (question, options, label) in enumerate(QUESTIONS)
    ]
    assert [pairs[0][0] for pairs in theirs.asked] == [item.prompt for item in items]
    verdicts, found = examined(MMLU(form="raw"), items, target_of(model, tokenizer))
    assert_close(found, theirs.logprobs)
    assert value_of(MMLU(), "accuracy", verdicts) == pytest.approx(theirs.scores["acc"])


MERGING = {
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}",
    "doc_to_choice": "{{options}}",
    "doc_to_target": "{{label}}",
    "target_delimiter": "",
}


def test_tokens_that_merge_over_the_boundary():
    """lm-eval follows the prompt's own tokens with what is left of the whole: h|oney is read as "h" + "ney"."""
    model, tokenizer = small_model(["ho"] * 50, bos=False)
    assert tokenizer.tokenize("honey") == ["ho", "n", "e", "y"]
    question, options = "bees make h", ["oney", "oney and more", "ay"]
    row = {"question": question, "options": options, "label": 0}
    theirs = run_harness(model, tokenizer, MERGING, [row])
    (same,) = asyncio.run(_scores(target_of(model, tokenizer), question, options))
    assert same == pytest.approx(theirs.logprobs[0], abs=1e-3)
    (common,) = asyncio.run(_scores(target_of(model, tokenizer, "common"), question, options))
    assert min(abs(a - b) for a, b in zip(common, theirs.logprobs[0])) > 0.5


def test_a_continuation_that_merges_wholly_is_no_score():
    """lm-eval 0.4.13 ends with an AssertionError here; under the common cut nothing is lost."""
    model, tokenizer = small_model(["ho"] * 50, bos=False)
    row = {"question": "bees make h", "options": ["o", "oney"], "label": 0}
    with pytest.raises(AssertionError):
        run_harness(model, tokenizer, MERGING, [row])
    with pytest.raises(NotMeasurableError, match="merges wholly"):
        asyncio.run(_scores(target_of(model, tokenizer), row["question"], row["options"]))
    (common,) = asyncio.run(_scores(target_of(model, tokenizer, "common"), row["question"], row["options"]))
    assert all(map(math.isfinite, common))


async def _scores(target, prompt, options):
    return [[score.logprob for score in await target.score(prompt, options)]]


def test_spaces_at_the_prompts_end_belong_to_the_continuation():
    model, tokenizer = small_model(TEXTS, bos=True)
    row = {"question": "Bees make  ", "options": ["honey", "a kind of stone"], "label": 0}
    theirs = run_harness(model, tokenizer, MERGING, [row])
    (found,) = asyncio.run(_scores(target_of(model, tokenizer), row["question"], row["options"]))
    assert found == pytest.approx(theirs.logprobs[0], abs=1e-3)


def test_a_tie_flatters_whoever_puts_the_right_answer_first():
    """lm-eval takes the first of two best options; here a tie is a wrong answer (METRICS: no last option either)."""
    model, tokenizer = small_model(TEXTS, bos=True)
    rows = [("Which?", ["honey", "honey"], 0), ("Which?", ["rain", "rain"], 1)]
    theirs = run_harness(model, tokenizer, arc_task(), [arc_row(*row) for row in rows])
    items = [arc_item(n, *row) for n, row in enumerate(rows)]
    verdicts, _ = examined(ARC(form="raw"), items, target_of(model, tokenizer))
    assert theirs.scores["acc"] == 0.5
    assert value_of(ARC(), "accuracy", verdicts) == 0.0


ROLLING = {
    "output_type": "loglikelihood_rolling",
    "doc_to_text": "",
    "doc_to_target": "{{text}}",
    "metric_list": [{"metric": name} for name in ("word_perplexity", "byte_perplexity", "bits_per_byte")],
}


def compare_documents(model, tokenizer, documents, **options):
    theirs = run_harness(model, tokenizer, ROLLING, [{"text": text} for text in documents], **options)
    items = [Item(id=str(n), prompt="", options=(text,)) for n, text in enumerate(documents)]
    measure = Perplexity(whole=True)
    verdicts, found = examined(measure, items, target_of(model, tokenizer))
    return theirs, measure, verdicts, found


@pytest.mark.parametrize("bos", [True, False], ids=["bos", "no bos"])
def test_whole_documents_equal_lm_eval_beyond_the_window_too(bos):
    model, tokenizer = small_model(DOCUMENTS[:1], bos=bos, window=64)
    assert len(tokenizer(DOCUMENTS[1]).input_ids) > 3 * 64
    theirs, measure, verdicts, found = compare_documents(model, tokenizer, DOCUMENTS, add_bos_token=False)
    assert_close(found, theirs.logprobs)
    for name in theirs.scores:
        assert value_of(measure, name, verdicts) == pytest.approx(theirs.scores[name], rel=1e-5)


def test_lm_eval_also_charges_the_beginning_token_itself():
    """Where the tokenizer adds <bos>, lm-eval puts a second one before it and scores the first."""
    import torch

    model, tokenizer = small_model(TEXTS, bos=True)
    theirs, _, _, found = compare_documents(model, tokenizer, DOCUMENTS[:1])
    with torch.no_grad():
        extra = float(model(torch.tensor([[1, 1]])).logits[0, 0].log_softmax(-1)[1])
        ids = torch.tensor([[1, *tokenizer(DOCUMENTS[0]).input_ids]])
        after_two = model(ids).logits[0, 1:-1].log_softmax(-1).gather(-1, ids[0, 2:, None]).sum()
    assert theirs.logprobs[0][0] == pytest.approx(extra + float(after_two), abs=1e-3)
    assert found[0][0] != pytest.approx(theirs.logprobs[0][0], abs=1e-2)


@pytest.fixture(scope="module")
def real_model():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    data = Path(os.environ.get("TRUELINE_DATA") or beside)
    folder = data.parent / "models" / "real6m"
    if not folder.is_dir():
        pytest.skip("the small real model is not on this machine")
    before = os.environ.get("TRUELINE_DATA")
    os.environ["TRUELINE_DATA"] = str(data)
    yield (
        AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval(),
        AutoTokenizer.from_pretrained(folder),
    )
    if before is None:
        del os.environ["TRUELINE_DATA"]


def test_arc_on_a_real_model(real_model):
    items = ARC(form="raw").items()[:6]
    rows = [
        arc_row(
            item.prompt.removeprefix("Question: ").removesuffix("\nAnswer:"),
            [option[1:] for option in item.options],
            item.data["label"],
        )
        for item in items
    ]
    compare_arc(*real_model, items, rows)


SAME_ITEMS = {
    "output_type": "multiple_choice",
    "doc_to_text": "{{prompt}}",
    "doc_to_choice": "{{options}}",
    "doc_to_target": "{{label}}",
    "metric_list": [{"metric": name} for name in ACCURACIES],
}


def same_row(item, **more):
    return {"prompt": item.prompt, "options": [option[1:] for option in item.options], **more}


@pytest.mark.parametrize("name", ["boolq", "openbookqa", "piqa", "social_iqa", "winogrande", "bbq"])
def test_a_task_made_of_a_measures_own_items(real_model, name):
    measure = catalog.make("measure", name, {"form": "raw"})
    items = measure.items()[:8]
    rows = [same_row(item, label=item.data["label"]) for item in items]
    theirs = run_harness(*real_model, SAME_ITEMS, rows)
    verdicts, found = examined(measure, items, target_of(*real_model))
    assert_close(found, theirs.logprobs)
    for metric in ACCURACIES if name != "bbq" else ():  # BBQ's accuracies stand apart by context
        assert value_of(measure, ACCURACIES[metric], verdicts) == pytest.approx(theirs.scores[metric])


def test_truthfulqa_by_lm_evals_own_formulas(real_model):
    from lm_eval.tasks.truthfulqa.utils import process_results_mc2

    measure = TruthfulQA(form="raw")
    items = measure.items()[:8]
    rows = [same_row(item, mc2_targets={"labels": item.data["true"]}) for item in items]
    task = {**SAME_ITEMS, "doc_to_target": 0, "process_results": process_results_mc2}
    theirs = run_harness(*real_model, task, rows)
    verdicts, found = examined(measure, items, target_of(*real_model))
    assert_close(found, theirs.logprobs)
    assert value_of(measure, "mc2", verdicts) == pytest.approx(theirs.scores["acc"], abs=1e-5)
    first = [[item.data["best"], *_false(item)] for item in items]  # as in its mc1 targets
    rows = [
        {**row, "options": [row["options"][n] for n in order], "label": 0} for row, order in zip(rows, first)
    ]
    assert value_of(measure, "mc1", verdicts) == run_harness(*real_model, SAME_ITEMS, rows).scores["acc"]


def _false(item):
    return [number for number, true in enumerate(item.data["true"]) if not true]


def test_mmlu_with_five_examples_on_a_real_model(real_model):
    from trueline.data.loaders import load_rows

    def row_of(row):
        return mmlu_row(row["question"], [row[f"choice{n}"] for n in range(4)], int(row["answer"]))

    model, tokenizer = real_model
    subject, n = "anatomy", 4
    items = [
        item
        for item in mmlu_items("m", shots=5, form="raw", per_subject=n)
        if item.id.split("/")[1] == subject
    ]
    solved = [row_of(row) for row in load_rows("mmlu", f"dev/{subject}_dev.csv")]
    rows = [row_of(row) for row in load_rows("mmlu", f"test/{subject}_test.csv")[:n]]
    config = task_file(f"mmlu/default/mmlu_{subject}.yaml")
    theirs = run_harness(model, tokenizer, config, rows, solved=solved)
    assert [pairs[0][0] for pairs in theirs.asked] == [item.prompt for item in items]
    verdicts, found = examined(MMLU(form="raw", shots=5), items, target_of(model, tokenizer))
    assert_close(found, theirs.logprobs)
    assert value_of(MMLU(), "accuracy", verdicts) == pytest.approx(theirs.scores["acc"])


def test_perplexity_on_a_real_model(real_model):
    documents = [item.options[0] for item in Perplexity(whole=True).items()[:3]]
    documents.append(" ".join(documents * 2))  # beyond the window of 1,024
    assert len(real_model[1](documents[-1]).input_ids) > 1024
    theirs, measure, verdicts, found = compare_documents(*real_model, documents, add_bos_token=False)
    assert_close(found, theirs.logprobs)
    for name in theirs.scores:
        assert value_of(measure, name, verdicts) == pytest.approx(theirs.scores[name], rel=1e-5)
    assert math.log2(value_of(measure, "byte_perplexity", verdicts)) == pytest.approx(
        value_of(measure, "bits_per_byte", verdicts)
    )
