"""Distillation as a treatment: the target comes to answer as its teacher does; what is refused."""

import asyncio
import json
from dataclasses import replace

import pytest
import tiny_folder

from trueline.core.errors import InputError
from trueline.core.messages import Sampling, chat
from trueline.core.protocols import Resources
from trueline.models.local import LocalTarget
from trueline.treatments.gkd import GeneralizedKnowledgeDistillation
from trueline.treatments.minillm import MiniLLM
from trueline.treatments.sft import SupervisedFineTuning

DIALS = {"learning_rate": 1e-2, "epochs": 8, "batch_size": 4}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    student = LocalTarget.from_pretrained(tiny_folder.save(folder / "base"))
    given = Resources(workdir=folder, demonstrations=tiny_folder.demonstrations())
    teacher = SupervisedFineTuning(**DIALS).apply(student, given)
    return student, LocalTarget.from_pretrained(teacher.describe()["source"], name="teacher")


def resources(folder, teacher, **more):
    given = {"demonstrations": tiny_folder.demonstrations(), "targets": {"teacher": teacher}}
    return Resources(workdir=folder, **{**given, **more})


@pytest.mark.parametrize(
    "dials",
    [
        {"beta": 0.0},
        {"beta": 0.5},
        {"beta": 1.0},
        {"beta": 0.5, "lora": True},
        {"beta": 0.5, "student_share": 0.5, "max_tokens": 6},
    ],
)
def test_the_student_answers_as_its_teacher(models, tmp_path, dials):
    student, teacher = models
    method = GeneralizedKnowledgeDistillation(**DIALS, **dials)
    treated = method.apply(student, resources(tmp_path, teacher))
    answers = [
        asyncio.run(target.generate(chat("w1 w2"), Sampling(max_tokens=4)))[0].text
        for target in (teacher, treated)
    ]
    assert answers[0] == answers[1] and "w30 w31" in answers[0]
    told = treated.describe()
    assert told["treatments"][-1]["teacher"] == "teacher" and told["training"]["flops"] > 0
    assert method.apply(student, resources(tmp_path, teacher)).fingerprint() == treated.fingerprint()
    assert len(list(tmp_path.glob("gkd-*"))) == 1


def test_the_teachers_pass_comes_off_the_budget(models, tmp_path):
    student, teacher = models
    told = {}
    for name, dials in {"given": {}, "own": {"student_share": 1.0, "max_tokens": 5}}.items():
        method = GeneralizedKnowledgeDistillation(**DIALS, **dials, budget={"flops": 1e8})
        told[name] = method.apply(student, resources(tmp_path, teacher)).describe()["training"]
        assert told[name]["flops"] <= 1e8
    # 12 rows of 5 + 3 tokens, whose keys are 1 + 2 + … + 8 = 36; the head is tied, so the embedding counts
    parameters = sum(p.numel() for p in teacher.model.parameters())
    assert told["given"]["flops_before"] == 12 * (2 * parameters * 8 + 4 * 2 * 32 * 36)
    assert told["own"]["flops_before"] == 0 and told["own"]["steps"] < told["given"]["steps"]
    with pytest.raises(InputError, match=r"does not pay for a step: .* went before it"):
        budget = {"flops": told["given"]["flops_before"]}
        GeneralizedKnowledgeDistillation(**DIALS, budget=budget).apply(student, resources(tmp_path, teacher))


def test_weights_of_harmful_requests_change_what_is_learnt(models, tmp_path):
    student, teacher = models
    shown = [replace(d, meta={"harmful": n % 2 == 0}) for n, d in enumerate(tiny_folder.demonstrations())]
    ends = {
        GeneralizedKnowledgeDistillation(**DIALS, safety_weight=weight)
        .apply(student, resources(tmp_path, teacher, demonstrations=shown))
        .fingerprint()
        for weight in (1.0, 4.0)
    }
    assert len(ends) == 2
    with pytest.raises(InputError, match=r"safety_weight 4.0 weighs .* none of the 12 does: mark them"):
        GeneralizedKnowledgeDistillation(safety_weight=4.0).apply(student, resources(tmp_path, teacher))


def test_the_share_of_own_answers_stands_in_the_history(models, tmp_path):
    student, teacher = models
    dials = {**DIALS, "epochs": 1, "student_share": 1.0, "max_tokens": 5}
    GeneralizedKnowledgeDistillation(**dials).apply(student, resources(tmp_path, teacher))
    (manifest,) = tmp_path.glob("gkd-*/manifest.json")
    history = json.loads(manifest.read_text())["history"]
    assert [line["own"] for line in history] == [1.0] * 3
    assert all(1 <= line["length"] <= 5 and 0 <= line["truncated"] <= 1 for line in history)


@pytest.mark.parametrize("dials", [{}, {"teacher_share": 0.0}, {"lora": True, "learning_rate": 3e-2}])
def test_minillm_draws_near_its_teacher(models, tmp_path, dials):
    student, teacher = models
    method = MiniLLM(**{**DIALS, "max_tokens": 6, **dials})
    treated = method.apply(student, resources(tmp_path, teacher))
    (manifest,) = tmp_path.glob("minillm-*/manifest.json")
    history = json.loads(manifest.read_text())["history"]
    first, last = (sum(line["reverse_kl"] for line in part) for part in (history[:4], history[-4:]))
    assert last < first / 2
    told = treated.describe()
    assert told["treatments"][-1]["teacher"] == "teacher" and told["training"]["flops"] > 0
    assert method.apply(student, resources(tmp_path, teacher)).fingerprint() == treated.fingerprint()


def test_what_cannot_teach_is_one_sentence(models, tmp_path):
    student, teacher = models
    method = GeneralizedKnowledgeDistillation(**DIALS)
    folder = tiny_folder.save(tmp_path / "other")
    words = (folder / "tokenizer.json").read_text().replace('"w33"', '"v33"')
    (folder / "tokenizer.json").write_text(words)
    with pytest.raises(InputError, match="has another tokenizer than"):
        method.apply(student, resources(tmp_path, LocalTarget.from_pretrained(folder, name="other")))
    with pytest.raises(InputError, match="gkd needs a teacher"):
        method.apply(student, resources(tmp_path, teacher, targets={}))
    with pytest.raises(InputError, match="give resources"):
        method.apply(student, resources(tmp_path, teacher, demonstrations=()))
    for dials, message in (
        ({"beta": 2}, "beta 2"),
        ({"temperature": 0}, "temperature"),
        ({"student_share": -0.1}, "student_share -0.1"),
        ({"max_tokens": 8}, "a student_share above 0"),
    ):
        with pytest.raises(InputError, match=message):
            GeneralizedKnowledgeDistillation(**dials)
    with pytest.raises(InputError, match=r"teacher_share 1.0"):
        MiniLLM(teacher_share=1.0)
    with pytest.raises(InputError, match="minillm needs a teacher"):
        MiniLLM().apply(student, resources(tmp_path, teacher, targets={}))
    assert GeneralizedKnowledgeDistillation(teacher="a/folder").targets == {"teacher": "a/folder"}
