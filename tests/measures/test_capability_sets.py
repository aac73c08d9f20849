"""The commonsense sets and GSM8K: what is read out of the files, and what counts as right."""

from decimal import Decimal

import pytest

from measures.support import ScriptedTarget, run
from trueline.core.errors import InputError
from trueline.core.messages import Completion, chat
from trueline.core.verdicts import Item
from trueline.measures.capability.commonsense import PIQA, BoolQ, OpenBookQA, SocialIQA, WinoGrande
from trueline.measures.capability.gsm8k import GSM8K, final_number
from trueline.measures.capability.instructions import parse


class TestInstructions:
    def test_options_on_one_line_or_apart(self):
        text = "Please choose the correct answer to the question: Who?\n\nAnswer1: a b Answer2: c\n\n"
        row = {"instruction": text + "Answer format: answer1/answer2", "answer": "answer2"}
        assert parse(row) == ("Who?", ("a b", "c"), 1)
        text = "Please choose the correct solution to the question: How?\n\nSolution1: x\n\nSolution2: y\n\n"
        row = {"instruction": text + "Answer format: solution1/solution2", "answer": "solution1"}
        assert parse(row) == ("How?", ("x", "y"), 0)

    def test_what_does_not_fit_is_refused(self):
        with pytest.raises(InputError, match="not an instruction of this set"):
            parse({"instruction": "Who?", "answer": "answer1"})

    def test_real_questions(self, real_data):
        counts = {cls.name: len(cls().items()) for cls in (BoolQ, OpenBookQA, PIQA, SocialIQA, WinoGrande)}
        assert counts == {
            "boolq": 3270, "openbookqa": 500, "piqa": 1838, "social_iqa": 1949, "winogrande": 1267
        }  # fmt: skip
        first = WinoGrande().items()[0]
        assert first.options == ("Sarah", "Maria") and first.data["label"] == 1
        raw = BoolQ(form="raw").items()[0]
        assert raw.prompt == "Question: does ethanol take more energy make that produces?\nAnswer:"
        assert (raw.options, raw.data["label"]) == ((" yes", " no"), 1)


def test_always_yes_is_no_knowledge_in_boolq():
    # 62 of 100 right by saying yes: at chance, though well above one half.
    items = [
        Item(
            id=str(number),
            prompt=chat("?"),
            options=("yes", "no"),
            data={"label": int(number >= 62), "chance": 2033 / 3270},
        )
        for number in range(100)
    ]
    target = ScriptedTarget(likes=lambda prompt, option: -1.0 if option == "yes" else -9.0)
    verdicts = [run(BoolQ().examine(item, target)) for item in items]
    assert sum(verdict.values["correct"] for verdict in verdicts) == 62
    assert "chance (62.2%)" in BoolQ().check(verdicts)


class TestGSM8K:
    ITEM = Item(id="g", prompt=chat("?"), data={"answer": "1250"})

    @pytest.mark.parametrize(
        ("text", "number"),
        [
            ("so 5.\n#### 18", "18"),
            ("#### $1,250.00\n", "1250"),
            ("#### -3 apples\nQuestion: 4", "-3"),
            ("#### .5", "0.5"),
            ("#### 7\n#### 8", "7"),
            ("the answer is 18", None),
            ("####", None),
            ("#### none\n5", None),
        ],
    )
    def test_the_final_number(self, text, number):
        assert final_number(text) == (None if number is None else Decimal(number))

    @pytest.mark.parametrize(
        ("answer", "values"),
        [
            ("1,000 + 250\n#### 1,250", (1.0, 1.0, 1.0)),
            ("#### 1251, not 1250", (0.0, 1.0, 1.0)),
            ("It is 1250.", (0.0, 1.0, 0.0)),
            ("I do not know.", (0.0, 0.0, 0.0)),
            (Completion(text="1250", outcome="guard-blocked"), (0.0, 0.0, 0.0)),
        ],
    )
    def test_right_only_after_the_mark(self, answer, values):
        verdict = run(GSM8K().examine(self.ITEM, ScriptedTarget(lambda prompt, sampling: answer)))
        assert tuple(verdict.values[key] for key in ("correct", "correct_last", "marked")) == values

    def test_cut_off_before_the_number_is_no_verdict(self):
        cut = Completion(text="First, 1250", finish_reason="length")
        verdict = run(GSM8K().examine(self.ITEM, ScriptedTarget(lambda prompt, sampling: cut)))
        assert verdict.reason == "the answer was cut off before its final number"
        late = Completion(text="#### 1250\nNext", finish_reason="length")
        assert run(GSM8K().examine(self.ITEM, ScriptedTarget(lambda prompt, sampling: late))).values[
            "correct"
        ]

    def test_shots_are_solved_training_problems(self, real_data):
        items = GSM8K(shots=2).items()
        assert len(items) == 1319 and items[0].data["answer"] == "18"
        turns = items[0].conversation
        assert [turn.role for turn in turns] == ["user", "assistant", "user", "assistant", "user"]
        assert turns[1].content.endswith("#### 72") and "<<" not in turns[1].content
        assert "End your answer with '####'" in GSM8K(shots=0).items()[0].conversation[0].content
