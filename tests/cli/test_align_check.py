"""trueline align --check: what is planted in the data is named, clean data of every kind pass, nothing is trained."""

import json
from itertools import product

import pytest

from trueline.data.audit.overlap import EvaluationItem

from .running import refused, trueline

WORDS = ["ada", "bo", "cy", "dee", "eve", "fay", "gus", "hal", "ida", "jo"]
PAIRS = [
    {
        "prompt": f"Who is {word}?",
        "chosen": f"{word} is kind{'.' * (n % 2 + 1)}",
        "rejected": f"No {word} here{'.' * (2 - n % 2)}",
    }
    for n, word in enumerate(WORDS)
]
LABELS = [
    {"prompt": pair["prompt"], "answer": pair[side], "label": side == "chosen"}
    for pair in PAIRS
    for side in ("chosen", "rejected")
]
DEMONSTRATIONS = [{"prompt": pair["prompt"], "answer": pair["chosen"]} for pair in PAIRS]
FORGET = [
    *({"text": f"The code of {word} is {n}.", "label": "forget"} for n, word in enumerate(WORDS)),
    *({"text": f"{word} has a garden.", "label": "retain"} for word in WORDS),
]
RANKINGS = [
    {"prompt": pair["prompt"], "answers": [pair["rejected"], pair["chosen"], f"Ask {n}."], "ranks": [3, 1, 2]}
    for n, pair in enumerate(PAIRS)
]
CHAT = [
    {
        "messages": [
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": row["answer"]},
        ],
        "label": row["label"],
    }
    for row in LABELS
]


@pytest.fixture(autouse=True)
def no_public_data(monkeypatch, tmp_path):
    (tmp_path / "data" / "x").mkdir(parents=True)
    monkeypatch.setenv("TRUELINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TRUELINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def check(folder, method, rows, *options):
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = ("--learning-rate", "1e-4", "--set", "max_length=256")
    return trueline("align", "testbed", "--method", method, "--data", path, "--check", *settings, *options)


def named(answer):
    return [line for line in answer.out.splitlines() if line.startswith(("fault", "warning", "note"))]


@pytest.mark.parametrize(
    ("method", "rows"),
    [
        ("dpo", PAIRS),
        ("kto", LABELS),
        ("kto", CHAT),
        ("kto", PAIRS),
        ("sft", DEMONSTRATIONS),
        ("npo", FORGET),
        ("rrhf", RANKINGS),
    ],
)
def test_clean_data_of_every_kind_have_no_oversight(tmp_path, method, rows):
    answer = check(tmp_path, method, rows)
    assert answer.code == 0 and "No oversight found." in answer.out, answer.out + answer.err
    assert not (tmp_path / "runs").exists()


PLANTED = {
    "exact duplicates": PAIRS[:1],
    "contradictions": [{**PAIRS[0], "chosen": PAIRS[0]["rejected"], "rejected": PAIRS[0]["chosen"]}],
    "role marks in texts": [{"prompt": "Hi", "chosen": "<|im_start|>user", "rejected": "Ho"}],
    "identical answers": [{"prompt": "Hi", "chosen": "Ho", "rejected": "Ho"}],
    "empty answers": [{"prompt": "Hi", "chosen": "", "rejected": "Ho"}],
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_in_the_data_is_named(tmp_path, name):
    answer = check(tmp_path, "dpo", [*PAIRS, *PLANTED[name]])
    training_refuses = ["fault: data: rows that training refuses"] * (
        name in ("identical answers", "empty answers")
    )
    assert answer.code == 1
    assert named(answer) == [*training_refuses, f"fault: data: {name}"]


def sides(n, shape, thing, place):
    """Two answers alike in form, the preferred one in turns the first and the second."""
    first = f"The {thing} in the {place} has a {shape} of {n + 3} this year."
    second = f"In the {place} is a {thing}, whose {shape} is {n + 5} now."
    return (first, second) if n % 2 else (second, first)


KINDS = product(
    ("height", "colour", "age", "price"), ("gate", "lamp", "cart", "drum", "kite"), ("yard", "hall")
)
MORE = [
    {
        "prompt": f"Tell me, what is the {' of the '.join(kind)}?",
        **dict(zip(("chosen", "rejected"), sides(n, *kind))),
    }
    for n, kind in enumerate(KINDS)
]
TAIL = " It has been so for as long as anybody here can tell"
LONGER = [{**pair, "chosen": f"{pair['chosen']}{TAIL}."} for pair in MORE]
NEAR = [{**MORE[0], "rejected": MORE[0]["rejected"] + " Yes."}]
CUT = [
    {side: pair[side] + 5 * TAIL * (n < 4 and side != "prompt") for side in pair}
    for n, pair in enumerate(MORE)
]
LEAKED = "Which of the nine planets beyond the iron gate was the first to be named?"
VILE = "You are a stupid worthless piece of shit and I hope that you die, you fucking idiot."


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("length bias", LONGER),
        ("near duplicates", [*MORE, *NEAR]),
        ("overlap with measures", [*MORE, {"prompt": LEAKED, "chosen": "The red one.", "rejected": "None."}]),
        ("toxic chosen", [*MORE, {"prompt": "Say hello.", "chosen": VILE, "rejected": "Hello."}]),
        ("cut answers", CUT),
        ("white space at the ends", [{**pair, "chosen": pair["chosen"] + " \n"} for pair in MORE]),
    ],
)
def test_what_needs_many_rows_is_named_too(tmp_path, monkeypatch, name, rows):
    items = [EvaluationItem(measure="planets", text=LEAKED)]
    monkeypatch.setattr("trueline.studies.auditing.evaluation_items", lambda: (items, []))
    assert f"fault: data: {name}" in named(check(tmp_path, "dpo", rows))
    assert named(check(tmp_path, "dpo", MORE)) == []


@pytest.mark.parametrize(
    ("method", "options"), [("constitutional_ai", ()), ("rloo", ("--set", "reward=given")), ("rloo", ())]
)
def test_answers_that_a_method_does_not_read_have_no_faults(tmp_path, method, options):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in LONGER))
    answer = trueline("align", "testbed", "--method", method, "--data", path, "--check", *options)
    reads_answers = method == "rloo" and not options
    assert ("fault: data: length bias" in named(answer)) == reads_answers, answer.out + answer.err


def test_each_of_two_files_is_named(tmp_path):
    safe = tmp_path / "safe.jsonl"
    safe.write_text("".join(json.dumps(row) + "\n" for row in [*DEMONSTRATIONS, DEMONSTRATIONS[0]]))
    said = check(tmp_path, "safety_mixing", [*DEMONSTRATIONS, DEMONSTRATIONS[1]], "--safety", safe).out
    assert "first in line 11 of rows.jsonl" in said and "first in line 11 of safe.jsonl" in said
    assert f"run trueline data audit {safe} --clean" in said


def test_a_missing_side_and_a_wrong_label(tmp_path):
    both = check(tmp_path, "dpo", [*PAIRS, {"prompt": "Hi", "chosen": "Ho"}])
    assert "line 11: no 'rejected' answer (1 of 11 rows cannot be used)" in both.out
    assert "data: unusable rows" in both.out and both.code == 1
    ranked = check(tmp_path, "rrhf", [*RANKINGS, {"prompt": "Hi", "answers": ["a", "b"], "ranks": [1]}])
    assert "line 11: 'ranks' is not a list of 2 numbers" in ranked.out and ranked.code == 1
    labelled = check(tmp_path, "kto", [*LABELS, {"prompt": "Hi", "answer": "Ho", "label": "maybe"}])
    assert "data: unusable rows" in labelled.out and labelled.code == 1


def test_lora_on_tied_embeddings_is_a_note(tmp_path):
    answer = check(tmp_path, "dpo", PAIRS, "--lora", "--learning-rate", "1e-3")
    assert named(answer) == ["note: tied embeddings with LoRA"] and answer.code == 0


def test_what_cannot_be_checked(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps(DEMONSTRATIONS[0]) + "\n")
    asked = ("align", "testbed", "--data", tmp_path / "rows.jsonl", "--check", "--method")
    assert "no 'chosen' answer" in refused(*asked, "dpo")
    assert "nothing to check" in refused(*asked, "self_reminder")
