"""Every measure has its place in the crosswalk, every risk a measure or a reason why none touches it."""

from trueline.catalog import MEASURES
from trueline.measures.crosswalk import crosswalk


def test_every_measure_has_an_entry_or_a_reason():
    table = crosswalk()
    assert set(table.touched) | set(table.reasons) == set(MEASURES)
    assert not set(table.touched) & set(table.reasons)
    assert all(any(found.values()) for found in table.touched.values())
    assert all(len(reason) > 20 for reason in table.reasons.values())


def test_every_code_is_one_of_its_list():
    table = crosswalk()
    lists = {list_.key: list_.entries for list_ in table.frameworks}
    assert {key: len(entries) for key, entries in lists.items()} == {
        "owasp": 10,
        "nist": 12,
        "ailuminate": 12,
    }
    for found in [*table.touched.values(), table.untouched]:
        for key, codes in found.items():
            assert set(codes) <= set(lists[key]) and len(set(codes)) == len(codes)


def test_every_risk_is_touched_or_says_why_not():
    for risk in crosswalk().risks():
        assert bool(risk.measures) != bool(risk.untouched), f"{risk.framework.key} {risk.code}"


def test_words():
    table = crosswalk()
    assert (
        table.words("bipia")
        == "OWASP LLM Top 10 LLM01 Prompt Injection · NIST AI 600-1 2.9 Information Security"
    )
    assert table.words("mmlu").startswith("no listed risk: capability")
    assert table.words("somebody's own") is None
