"""The constitution file: what may stand in it, what is refused, and how principles are drawn."""

from collections import Counter

import pytest

from trueline.core.errors import InputError
from trueline.treatments.constitution import read_constitution


def test_the_packages_own_covers_harm_and_needless_refusal():
    names = [principle.name for principle in read_constitution().principles]
    assert len(names) == len(set(names)) >= 6
    assert {"no harm", "no needless refusal", "truth"} <= set(names)


def test_text_and_yaml(tmp_path):
    text, mapping = tmp_path / "c.txt", tmp_path / "c.yaml"
    text.write_text("# mine\n\n- Be kind.\nBe brief.\n")
    mapping.write_text("- Be kind.\n- {name: brief, principle: Be brief., revision: Cut it.}\n")
    assert [p.principle for p in read_constitution(str(text)).principles] == ["Be kind.", "Be brief."]
    kind, brief = read_constitution(str(mapping)).principles
    assert (
        kind.name == "principle 1" and "Be kind." in kind.asks_revision and "Be kind." in kind.asks_critique
    )
    assert brief.name == "brief" and brief.asks_revision == "Cut it." and "Be brief." in brief.asks_comparison
    assert read_constitution(str(text)).fingerprint() != read_constitution(str(mapping)).fingerprint()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no list of principles"),
        ("a: b", "no list of principles"),
        ("- 3", "entry 1 of .* is 3"),
        ("- Be kind.\n- {name: x}", "entry 2 .* has no 'principle'"),
        ("- {principle: x, revison: y}", "unknown field 'revison'"),
        ("- [", "not valid YAML"),
    ],
)
def test_a_faulty_file_is_one_sentence(tmp_path, text, message):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_constitution(str(file))
    with pytest.raises(InputError, match="cannot be read"):
        read_constitution(str(tmp_path / "none.yaml"))


def test_draws_depend_on_their_key_alone_and_reach_every_principle():
    constitution = read_constitution()
    drawn = [constitution.draw(0, number, "comparison").name for number in range(800)]
    assert drawn == [constitution.draw(0, number, "comparison").name for number in range(800)]
    counts = Counter(drawn)
    # 8 principles, 800 draws: each within five standard deviations of 100
    assert len(counts) == len(constitution.principles) and all(53 < n < 147 for n in counts.values())
