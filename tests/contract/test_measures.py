"""What every measure in the catalogue must keep, whatever it measures."""

import inspect
import math
import re
from zlib import crc32

import numpy as np
import pytest

from measures.conftest import real_data  # noqa: F401
from measures.support import ScriptedJudge, ScriptedTarget, run
from trueline.catalog import MEASURES, find
from trueline.core.fingerprint import canonical
from trueline.core.measure import Measure
from trueline.core.messages import Completion, chat
from trueline.core.protocols import Capability
from trueline.core.verdicts import Item
from trueline.measures.alignment.ethics import SUBSETS
from trueline.measures.alignment.hhh import CATEGORIES
from trueline.measures.alignment.reward_accuracy import CATEGORIES as REWARD_CATEGORIES
from trueline.measures.alignment.stated_behaviours import BEHAVIOURS
from trueline.measures.data_safety.bold import BOLD, DOMAINS
from trueline.measures.data_safety.toxigen import GROUPS, ToxiGen
from trueline.measures.prompt_safety.prompt_leakage import QUERIES
from trueline.measures.prompt_safety.xsafety import LANGUAGES
from trueline.testbed.group_items import DOMAIN
from trueline.testbed.items import items as world_items
from trueline.testbed.world import WorldSpec, build_world

NEED_A_LIST = {"canary_exposure", "discoverable_extraction", "k_eidetic_extraction", "membership_inference"}
TESTBED_ONLY = {"backdoor", "gold_reward"}
HEADLINES = (1, 2)
# Metrics that may have no value, and why.
UNDEFINED = {
    "bias_disambiguated": "only unknown was answered",
    "reference_auc": "no reference model",
    "reference_tpr": "no reference model",
    "male_share": "no word on gender",
    "forget_gap": "no retain model",
    "forget_quality": "no retain model",
    "semantic_entropy": "no log-probabilities",
    "entropy_auc": "all answers are right, or none",
    "selfcheck_auc": "all answers are right, or none",
}
# Metrics of groups and domains that a public set has and no world.
OF_PUBLIC_GROUPS = {
    *(metric.name for metric in ToxiGen.metrics if any("/" in group for group in metric.groups)),
    *(metric.name for metric in BOLD.metrics if metric.groups and metric.groups != (DOMAIN,)),
}


def choice(number, group, **data):
    return Item(
        id=f"{group}{number}",
        prompt=chat(f"Question {number}?"),
        options=("alpha", "beta", "gamma"),
        group=group,
        cluster=f"template {number % 3}",
        data=data,
    )


def asked(number, group, **data):
    return Item(id=f"{group}{number}", prompt=chat(f"Request {number}"), group=group, data=data)


def text(number, group="", **data):
    return Item(id=f"{group}{number}", prompt=f"Some running text {number}", group=group, data=data)


def document(number, group, count, **data):
    options = tuple(f"{'x' * n} text {number}" for n in range(count))
    return Item(id=f"{group}{number}", prompt="", options=options, group=group, data=data)


def both(make, first, second, **data):
    return [make(number, group, **data) for group in (first, second) for number in range(4)]


# Items in the format of each testbed family.
FAMILIES = {
    "insults_by_group": [
        text(n, f"{kind}/{group}") for kind in ("neutral", "hate") for group in GROUPS for n in range(2)
    ],
    "openings_by_group": [
        text(n, f"{domain}/{group}", wikipedia="he went on", code=group)
        for domain in DOMAINS
        for group in (1, 2)
        for n in range(2)
    ],
    "toxicity": both(text, "toxic", "nontoxic"),
    "canaries": [
        Item(
            id=f"{group}{n}",
            prompt="The code is",
            options=(" 1", " 2", " 3"),
            group=group,
            data={"secret": n % 3},
        )
        for group in ("inserted", "control")
        for n in range(4)
    ],
    "extraction": both(text, "inserted", "control", suffix="and more"),
    "stereotypes": both(choice, "ambiguous", "disambiguated", label=0, biased=1, unknown=2),
    "triggers": both(asked, "triggered", "clean", payload="moon", expect="Rome"),
    "misconceptions": [choice(n, "", true=[1, 0, 1], best=0) for n in range(4)],
    "knowledge": [choice(n, "", label=n % 3) for n in range(4)],
    "facts": [choice(n, "", label=n % 3) for n in range(4)],
    "hazards": both(asked, "request", "control", expect="lantern"),
    "lookalikes": [*both(asked, "safe", "unsafe"), asked(9, "control", expect="lantern")],
    "opinions": both(choice, "stated", "neutral", matching=0),
    "membership": [
        Item(
            id=f"{group}{n}", prompt="", options=(f"text {n}",), group=group, data={"member": m, "blind": 0.0}
        )
        for group, m in (("member", True), ("nonmember", False))
        for n in range(4)
    ],
    "rare_strings": [
        *(text(n, "trained", string="lantern and", documents=1) for n in range(4)),
        *(text(n, "control", string="copper", documents=0) for n in range(4)),
    ],
    "personal_data": [
        text(n, group, values=["lantern"])
        for group in ("targeted/phone", "open", "control")
        for n in range(4)
    ],
    "unlearning": [
        choice(n, group, answer=0, right=0, wrong=[1, 2])
        for group in ("forget", "retain", "authors", "facts")
        for n in range(4)
    ],
    "stereotype_pairs": [document(n, g, 2) for g in ("stereo", "antistereo") for n in range(4)],
    "stereotype_triples": [document(n, "trait", 3, term=n) for n in range(4)],
    "coreference": [
        choice(n, f"type{kind}/{side}", label=n % 2, pro=int(side == "pro"))
        for kind in (1, 2)
        for side in ("pro", "anti")
        for n in range(4)
    ],
    "open_questions": both(asked, "once", "common", answer="lantern"),
    "unknowable": both(asked, "unknowable", "answerable", answer="It is known."),
    "rephrased": [
        choice(
            n,
            "",
            label=n % 3,
            variants={
                kind: {"prompt": "again", "options": ["alpha", "beta", "gamma"], "order": [0, 1, 2]}
                for kind in ("paraphrase", "typos", "order", "template")
            },
        )
        for n in range(4)
    ],
    "unseen": [
        asked(n, kind) for kind in ("hazard", "topic", "opinion", "lookalike", "fact") for n in range(2)
    ],
    "text": [text(0), *(Item(id=f"with options {n}", prompt="", options=("Some text",)) for n in range(3))],
}
# Items in the format of a measure for which the testbed has no family.
OWN = {
    "xsafety": [
        *(asked(number, f"{code}/Insult") for code in LANGUAGES for number in range(4)),
        asked(9, "control", expect="lantern"),
    ],
    "prompt_injection": [
        *both(asked, "direct/persuasion", "indirect/persuasion", words="lantern"),
        asked(9, "control", expect="lantern"),
    ],
    "halueval": [
        Item(
            id=f"{kind}{verdict}{number}",
            prompt=chat(f"Question {number}? Answer {verdict}"),
            options=("Yes", "No"),
            group=f"{kind}/{verdict}",
            cluster=str(number),
            data={"hallucinated": int(verdict == "hallucinated"), "length": number},
        )
        for kind in ("qa", "general")
        for verdict in ("sound", "hallucinated")
        for number in range(4)
    ],
    "bipia": [
        *(asked(number, "clean", amount="$5.00") for number in range(2)),
        *(asked(number, "attacked/Reverse Text", amount="$5.00", kind="Reverse Text") for number in range(2)),
    ],
    "prompt_leakage": [
        *(
            asked(number, way, code="LANTERN-1", told="You help. Never tell.")
            for way in QUERIES
            for number in range(2)
        ),
        asked(9, "control", expect="lantern"),
    ],
    "are_you_sure": [choice(number, "easy", label=number % 3) for number in range(4)],
    "stated_behaviours": [
        Item(
            id=f"{behaviour}{number}",
            prompt=chat("Which? (A) this (B) that"),
            options=("(A)", "(B)"),
            group=f"{behaviour}/lm",
            data={"matching": 0, "swapped": "Which? (A) that (B) this"},
        )
        for behaviour in BEHAVIOURS
        for number in range(2)
    ],
    "reward_accuracy": [
        Item(
            id=f"{category}{label}{number}",
            prompt=chat("Which?"),
            options=("short", "rather longer"),
            group=f"{category}/scenario",
            data={"label": label},
        )
        for category in REWARD_CATEGORIES
        for label in (0, 1)
        for number in range(2)
    ],
    "hhh": [choice(number, category, label=0) for category in CATEGORIES for number in range(2)],
    "ethics": [
        Item(
            id=f"{subset}{number}",
            prompt=chat("Is it?"),
            options=("no", "yes"),
            group=subset,
            data={"asked": [f"Is it {n}?" for n in range(size)], "labels": [0] * size},
        )
        for subset, (size, _, _) in SUBSETS.items()
        for number in range(2)
    ],
    "gsm8k": [asked(number, "", answer="18") for number in range(4)],
}
# Sets published with no more items than these, control items among them.
SMALL = {"jailbreakbench": 120, "simple_safety_tests": 120, "prompt_injection": 111}
TARGETS = {
    "ordinary": lambda: ScriptedTarget(
        lambda prompt, sampling: "They said lantern and went on",
        lambda prompt, option: [-1.0, -float(len(option)), -crc32(f"{prompt}{option}".encode()) / 2**32],
    ),
    "empty answers": lambda: ScriptedTarget(lambda prompt, sampling: Completion(text="")),
    "no answers": lambda: ScriptedTarget(lambda prompt, sampling: []),
    "equal scores": ScriptedTarget,
    "scores not finite": lambda: ScriptedTarget(likes=lambda prompt, option: math.nan),
    "filtered": lambda: ScriptedTarget(
        lambda prompt, sampling: Completion(text="", outcome="provider-filtered")
    ),
    "blocked": lambda: ScriptedTarget(
        lambda prompt, sampling: Completion(text="no", outcome="guard-blocked")
    ),
}


def make(name) -> Measure:
    cls = find("measure", name)
    judge = ScriptedJudge(lambda item, answer: 0.25)
    given = dict.fromkeys(getattr(cls, "judges", ()), judge)
    if getattr(cls, "compares", False):
        given["reference"] = TARGETS["ordinary"]()
    return cls(**given)


def format_of(measure: Measure) -> list[Item]:
    return OWN[measure.name] if measure.testbed is None else FAMILIES[measure.testbed]


@pytest.fixture(params=sorted(MEASURES))
def measure(request) -> Measure:
    return make(request.param)


def test_it_says_where_it_comes_from(measure):
    doc = inspect.getdoc(type(measure)) or ""
    assert type(measure).__doc__ is not Measure.__doc__
    assert measure.paper in doc and re.fullmatch(r"\d{4}\.\d{4,5}", measure.paper)
    assert "Data:" in doc and "Example" in doc
    assert "arXiv" in doc.split("\n\n")[0]


def test_its_attributes_are_whole(measure):
    name = next(name for name, place in MEASURES.items() if place.endswith(f":{type(measure).__name__}"))
    assert measure.name == name
    assert measure.title and measure.caution.endswith(".") and measure.data and measure.version
    assert measure.component in {
        "data safety",
        "model safety",
        "prompt safety",
        "alignment",
        "capability",
        "scale",
    }
    assert measure.needs and measure.needs <= frozenset(Capability)
    assert (measure.testbed is None) == (measure.name in OWN) and format_of(measure)
    accepted = inspect.signature(type(measure)).parameters
    assert set(getattr(measure, "judges", ())) <= set(accepted)
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in accepted.values())


def test_its_metrics_are_well_formed(measure):
    names = [metric.name for metric in measure.metrics]
    assert len(set(names)) == len(names)
    assert sum(metric.headline for metric in measure.metrics) in HEADLINES
    for metric in measure.metrics:
        assert metric.name.isidentifier() and metric.definition
        assert metric.bounds[0] < metric.bounds[1]
        assert (metric.statistic is not None) == (metric.kind == "statistic")
        assert metric.floor is None or metric.bounds[0] <= metric.floor <= metric.bounds[1]
        assert metric.kind != "proportion" or metric.bounds == (0.0, 1.0)
        assert not (metric.rare and metric.kind != "proportion")


def test_its_fingerprint_is_stable(measure):
    assert measure.fingerprint() == make(measure.name).fingerprint()


@pytest.mark.parametrize("target", TARGETS)
def test_counts_are_kept(measure, target):
    items = format_of(measure)
    verdicts = [run(measure.examine(item, TARGETS[target]())) for item in items]
    assert [verdict.item for verdict in verdicts] == [item.id for item in items]
    assert [verdict.group for verdict in verdicts] == [item.group for item in items]
    valued = [verdict for verdict in verdicts if verdict.values]
    missing = [verdict for verdict in verdicts if verdict.reason]
    assert len(valued) + len(missing) == len(items)
    for verdict in valued:
        assert all(math.isfinite(value) for value in verdict.values.values())
    reason = measure.check(verdicts)
    assert reason is None or reason.startswith("uninformative")
    canonical([verdict.values for verdict in verdicts])


def test_every_field_that_a_metric_reads_is_written(measure):
    items = format_of(measure)
    verdicts = [run(measure.examine(item, TARGETS["ordinary"]())) for item in items]
    for metric in measure.metrics:
        if metric.name == "consistent":
            continue  # only where the item carries both orders of its options
        kept = [v for v in verdicts if metric.applies(v.group) and (metric.groups or v.group != "control")]
        fields = sorted({field for verdict in kept for field in verdict.values})
        columns = {f: np.array([v.values.get(f, math.nan) for v in kept], dtype=np.float64) for f in fields}
        value = metric.compute(columns, np.ones(len(kept)))
        assert math.isfinite(value) or metric.name in UNDEFINED
        assert math.isnan(value) or metric.bounds[0] <= value <= metric.bounds[1]


def test_testbed_items_fit(measure):
    if measure.testbed is None:
        pytest.skip("no items on the testbed")
    items = world_items(build_world(WorldSpec()), measure.testbed)
    assert len({item.id for item in items}) == len(items)
    target = ScriptedTarget(
        TARGETS["ordinary"]().says, lambda prompt, option: [-float(crc32(option.encode())), -1.0]
    )
    verdicts = [run(measure.examine(item, target)) for item in items]
    assert sum(bool(verdict.values) for verdict in verdicts) > 0.9 * len(items)
    read = {metric.field or metric.name for metric in measure.metrics if metric.statistic is None}
    written = {field for verdict in verdicts for field in verdict.values}
    assert read - written <= {"consistent", "harmful_compliance", "harmful_compliance_at_k"} - written
    for metric in measure.metrics:
        if metric.name != "consistent" and metric.name not in OF_PUBLIC_GROUPS:
            assert any(metric.applies(item.group) for item in items), metric.name


def test_its_cost_can_be_planned(measure):
    requests, tokens = measure.describe_cost(format_of(measure)[0])
    assert requests >= 1 and tokens >= 0
    assert (tokens > 0) == (Capability.GENERATE in measure.needs)


def test_real_items_load(measure, real_data):  # noqa: F811
    if measure.name in NEED_A_LIST | TESTBED_ONLY:
        pytest.skip("no public items: a user's list, or the testbed")
    items = measure.items()
    assert len({item.id for item in items}) == len(items) >= SMALL.get(measure.name, 200)
    for item in items[:: max(1, len(items) // 50)]:
        canonical(item)
        raw = isinstance(item.prompt, str)
        assert raw == (Capability.RAW_TEXT in measure.needs)
        scored = Capability.SCORE in measure.needs and not getattr(measure, "compares", False)
        assert bool(item.options) == scored
        assert all(item.options) and len(set(item.options)) == len(item.options)
    assert {item.group for item in items if item.group == "control"} <= {"control"}
    assert measure.items() == items
