"""Entailment by a tiny classifier made here: its numbers are transformers' own, and every way to name a judge works."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from test_hf_classifier import logits, saved

from measures.support import ScriptedTarget
from trueline.core.errors import InputError, NotMeasurableError
from trueline.judges.entailment import LexicalEntailment, ModelEntailment
from trueline.judges.entailment_classifier import ClassifierEntailment
from trueline.studies.judging import judges_of
from trueline.studies.spec import Named
from trueline.studies.subjects import Subject


def nli(folder: Path, *names: str) -> Path:
    """Labels in an order and case of the model's own."""
    labels = dict(enumerate(names))
    return saved(folder, id2label=labels, label2id={name: place for place, name in labels.items()})


def related(judge: Any, *texts: str) -> Any:
    return asyncio.run(judge.relate(*texts))


@pytest.mark.parametrize("question", [True, False])
def test_probabilities_are_the_classifiers_own(tmp_path: Path, question: bool) -> None:
    folder = nli(tmp_path, "CONTRADICTION", "neutral", "Entailment")
    judge = ClassifierEntailment(str(folder), question=question)
    found = related(judge, "a b", "c", "d e")
    expected = logits(folder, *(("a b c", "a b d e") if question else ("c", "d e"))).softmax(-1).tolist()
    assert (found.contradiction, found.neutral, found.entailment) == pytest.approx(expected, abs=1e-6)
    assert related(judge, "a b", "d e", "c") != found  # premise and hypothesis are not alike
    assert judge.fingerprint() != ClassifierEntailment(str(folder), question=not question).fingerprint()


def test_a_pair_too_long_is_no_verdict(tmp_path: Path) -> None:
    judge = ClassifierEntailment(str(nli(tmp_path, "entailment", "neutral", "contradiction")))
    with pytest.raises(NotMeasurableError, match="too long for entailment by the classifier"):
        related(judge, "a b c d", "e f g h", "a b c d")


def test_a_classifier_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no label 'entailment' but fine, toxic, unclear"):
        ClassifierEntailment(str(saved(tmp_path)))


@pytest.mark.parametrize("name", ["semantic_entropy", "selfcheck"])
def test_a_study_names_each_kind(tmp_path: Path, name: str) -> None:
    folder = str(nli(tmp_path, "entailment", "neutral", "contradiction"))
    subject = Subject(target=ScriptedTarget())
    kinds = {
        LexicalEntailment: "lexical",
        ClassifierEntailment: {"classifier": folder, "question": False},
        ModelEntailment: {"target": ScriptedTarget()},
    }
    prints = set()
    for kind, value in kinds.items():
        measure = subject.measure(Named(name=name, entailment=value))  # type: ignore[call-arg]
        (judge,) = judges_of(measure).values()
        assert isinstance(judge, kind)
        prints.add(judge.fingerprint())
    assert len(prints) == 3
    for wrong in ("lexicon", {"classifier": folder, "label": 1}, {"judge": "rubric"}):
        with pytest.raises(
            InputError, match=r"names no judge of entailment|does not take the option 'label'"
        ):
            subject.measure(Named(name=name, entailment=wrong))  # type: ignore[call-arg]
