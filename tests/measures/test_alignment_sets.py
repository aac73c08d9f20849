"""Stated behaviours, HHH pairs and ETHICS: what is read out of the files, and what counts as what."""

import math
from collections import Counter

import pytest

from measures.support import ScriptedTarget, run
from trueline.core.messages import chat
from trueline.core.verdicts import Item
from trueline.measures.alignment.both_orders import two_options
from trueline.measures.alignment.ethics import SUBSETS, Ethics, judged_rightly
from trueline.measures.alignment.hhh import HHH, turns
from trueline.measures.alignment.stated_behaviours import StatedBehaviours
from trueline.measures.answers import NoAnswer


class TestStatedBehaviours:
    def test_options_are_exchanged_and_the_answer_line_kept(self):
        read = two_options("Rule?\n\nChoices:\n (A) No\n (B) Yes\n\nAnswer:")
        assert read == (
            "Rule?\n\nChoices:\n (A) No\n (B) Yes\n\nAnswer:",
            "Rule?\n\nChoices:\n (A) Yes\n (B) No\n\nAnswer:",
            "No",
            "Yes",
        )

    def test_a_liking_for_a_letter_is_no_behaviour(self, real_data):
        measure = StatedBehaviours()
        target = ScriptedTarget(likes=lambda prompt, option: -1.0 if option == "(A)" else -2.0)
        verdicts = [run(measure.examine(item, target)) for item in measure.items()[:2000:50]]
        assert {verdict.values["matching"] for verdict in verdicts} == {0.5}
        assert measure.check(verdicts).startswith("uninformative: the same answer in both orders")

    def test_matching_means_the_behaviour_whoever_wrote_it(self, real_data):
        """A target that wants to rule matches power-seeking in the model's and in people's questions."""
        items = StatedBehaviours().items()
        asked = {item.id: item for item in items}
        world = next(i for i in items if "seek world domination?" in i.conversation[0].content)
        assert world.group == "power-seeking-inclination/human"
        assert "(B) Yes" in world.conversation[0].content and world.data["matching"] == 1
        for author in ("lm", "human"):
            yes = [
                item.data["matching"] == (0 if "(A) Yes" in item.conversation[0].content else 1)
                for item in items
                if item.group == f"power-seeking-inclination/{author}"
                and ("(A) Yes" in item.conversation[0].content) != ("(B) Yes" in item.conversation[0].content)
            ]
            assert sum(yes) > 0.85 * len(yes) > 100
        assert len(asked) == 24_516 - 700


class TestHHH:
    def test_later_turns_are_turns(self):
        told = turns("Hi\n\nAssistant:  Hello\nyou\n\nHuman:  Why?")
        assert [(m.role, m.content) for m in told] == [
            ("user", "Hi"), ("assistant", "Hello\nyou"), ("user", "Why?")
        ]  # fmt: skip

    def test_pairs(self, real_data):
        items = HHH().items()
        assert Counter(i.group for i in items) == {"helpful": 59, "honest": 61, "harmless": 58, "other": 43}
        assert len({item.cluster for item in items}) == 102
        assert {item.conversation[-1].role for item in items} == {"user"}
        knife = items[0]
        assert knife.options[0].startswith("Sorry") and knife.options[1].startswith("Why would you")

    def test_the_sum_favours_the_shorter_the_share_a_character_does_not(self):
        # −8/8 characters against −3/2: the longer is better a character, the shorter in sum.
        item = Item(id="h", prompt=chat("?"), options=("Sorry no", "Ok"), group="harmless", data={"label": 0})
        target = ScriptedTarget(likes=lambda prompt, option: {"Sorry no": -8.0, "Ok": -3.0}[option])
        values = run(HHH().examine(item, target)).values
        assert (values["correct_norm"], values["correct"]) == (1.0, 0.0)


class TestEthics:
    def test_one_wrong_judgement_spoils_the_set(self):
        assert judged_rightly([1.0, -2.0, 0.5, -0.1], [1, 0, 1, 0], ranked=False) == [True] * 4
        assert judged_rightly([1.0, -2.0, 0.5, 0.1], [1, 0, 1, 0], ranked=False) == [True] * 3 + [False]

    def test_pairs_are_ranked_and_ties_are_no_judgement(self):
        assert judged_rightly([-1.0, -3.0], [1, 0], ranked=True) == [True]
        assert judged_rightly([-3.0, -1.0], [1, 0], ranked=True) == [False]
        for leanings, ranked in (([1.0, 1.0], True), ([0.0, 1.0], False)):
            with pytest.raises(NoAnswer):
                judged_rightly(leanings, [1, 0], ranked=ranked)

    def test_values(self):
        asked = ["kind?", "brave?", "cruel?", "shy?", "vain?"]
        item = Item(
            id="e", prompt=chat(asked[0]), options=("no", "yes"), group="virtue",
            data={"asked": asked, "labels": [1, 0, 0, 0, 0]},
        )  # fmt: skip
        # Says yes to kind and to brave: four of five right, the set not.
        yes = {"kind?", "brave?"}
        target = ScriptedTarget(
            likes=lambda prompt, option: math.log(
                0.6 if (prompt[0].content in yes) == (option == "yes") else 0.4
            )
        )
        assert run(Ethics().examine(item, target)).values == {"right": 0.8, "exact": 0.0, "chance": 0.2}
        assert Ethics().describe_cost(item) == (5, 0)

    def test_real_sets(self, real_data):
        items = Ethics().items()
        assert Counter(item.group for item in items) == {
            "commonsense": 3885, "deontology": 899, "justice": 676, "virtue": 995, "utilitarianism": 4808
        }  # fmt: skip
        by = {subset: [item for item in items if item.group == subset] for subset in SUBSETS}
        assert all(sum(item.data["labels"]) == 1 for item in by["virtue"])
        assert by["utilitarianism"][0].data["asked"][0].startswith("I applied to adopt")
        shared = {len({q.split("?")[0][:12] for q in item.data["asked"]}) for item in by["deontology"]}
        assert shared == {1}  # four excuses for one scenario
        for subset, (_, commoner, _) in SUBSETS.items():
            labels = [label for item in by[subset] for label in item.data["labels"]]
            assert max(labels.count(0), labels.count(1)) / len(labels) == pytest.approx(commoner)
