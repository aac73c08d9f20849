"""Trees from conversations: the cut, the end token, what is too long."""

from dataclasses import replace

import pytest
from chat_codec import codec, tokenizer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from trueline.core.errors import InputError
from trueline.core.messages import assistant, chat
from trueline.data.labelled import as_labelled
from trueline.data.preferences import Demonstration, PreferencePair
from trueline.data.rankings import RankedAnswers
from trueline.models.encoding import Encoding
from trueline.models.templates import ChatTemplate
from trueline.training.codec import ChatCodec
from trueline.training.data import (
    demonstration_examples,
    labelled_examples,
    preference_examples,
    ranked_examples,
    safety_examples,
    text_examples,
)


def made_codec(words, **special):
    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", **special)
    ends = frozenset() if made.eos_token_id is None else frozenset({made.eos_token_id})
    return made, ChatCodec(Encoding(made, ChatTemplate(made), None), ends)


def words_of(tokens):
    return tokenizer().decode(tokens)


def test_a_pair_becomes_a_tree_with_end_tokens():
    pair = PreferencePair(prompt=chat("w1 w2"), chosen="w3", rejected="w4 w5", meta={"margin": 2})
    (example,) = preference_examples(codec(), [pair], 100).examples
    assert words_of(example.tree.trunk) == "<bos> <user> w1 w2 <bot>"
    assert [words_of(b) for b in example.tree.branches] == ["w3 <eos>", "w4 w5 <eos>"]
    assert example.facts == {"margin": (2.0,)} and example.answer_tokens == 5 and example.tokens == 10
    for margin in (float("nan"), float("inf"), "much", True):
        odd = replace(pair, meta={"margin": margin})
        with pytest.raises(InputError, match=f"row 1 has the margin {margin!r}, .* give a finite number"):
            preference_examples(codec(), [pair, odd], 100)


def test_what_the_template_writes_after_the_end_token_is_not_learnt():
    made, chat_codec = made_codec(["<unk>", "<eos>", "<u>", "<a>", "<after>", "hi", "yes"], eos_token="<eos>")
    made.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}<u> {{ m['content'] }} {% else %}"
        "<a> {{ m['content'] }} <eos> <after> {% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<a> {% endif %}"
    )
    tree = chat_codec.tree(chat("hi"), ["yes"])
    assert made.decode(tree.trunk) == "<u> hi <a>"
    assert made.decode(tree.branches[0]) == "yes <eos>"


def test_the_plain_template_ends_with_the_end_token():
    made, chat_codec = made_codec(["<unk>", "<eos>", "User:", "Assistant:", "hi", "yes"], eos_token="<eos>")
    tree = chat_codec.tree(chat("hi"), ["yes"])
    assert made.decode(tree.trunk) == "User: hi Assistant:"
    assert made.decode(tree.branches[0]) == "yes <eos>"


def test_a_tokenizer_that_cannot_end_is_refused():
    _, chat_codec = made_codec(["<unk>", "hi"])
    with pytest.raises(InputError, match="never stop"):
        chat_codec.tree(chat("hi"), ["yes"])


def test_a_prefilled_answer_goes_on():
    tree = codec().tree((*chat("w1"), assistant("w2 ")), ["w3"])
    assert words_of(tree.trunk) == "<bos> <user> w1 <bot> w2" and words_of(tree.branches[0]) == "w3 <eos>"


def test_a_truncated_answer_has_no_end_token_and_a_full_prompt_is_left_out():
    shown = [
        Demonstration(prompt=chat("w1"), answer="w2 w3 w4"),  # 4 + 4 tokens
        Demonstration(prompt=chat("w1 w2 w3"), answer="w4"),  # 6 + 2 tokens
        Demonstration(prompt=chat("w1"), answer="w2"),  # 4 + 2 tokens
    ]
    prepared = demonstration_examples(codec(), shown, 6)
    assert [e.index for e in prepared.examples] == [0, 2]
    assert [words_of(e.tree.branches[0]) for e in prepared.examples] == ["w2 w3", "w2 <eos>"]
    assert (prepared.too_long, prepared.truncated) == (1, 1)


def test_text_is_joined_and_cut_into_blocks():
    blocks = text_examples([[5, 6, 7], [8]], begin=2, end=1, block=4)
    assert [(e.tree.trunk, e.tree.branches) for e in blocks] == [((2,), ((5, 6, 7),)), ((2,), ((1, 8, 1),))]
    with pytest.raises(InputError, match="block of 1"):
        text_examples([[5]], begin=2, end=1, block=1)


def test_labels_carry_an_answer_to_another_prompt():
    pairs = [
        PreferencePair(prompt=chat("w1"), chosen="w3", rejected="w4"),
        PreferencePair(prompt=chat("w2"), chosen="w5", rejected="w6"),
    ]
    examples = labelled_examples(codec(), as_labelled(pairs), 100).examples
    seen = [
        (words_of(e.tree.branches[0]), e.facts["wanted"], words_of(e.mismatched.tree.branches[0]))
        for e in examples
    ]
    # the nearest earlier answer is to the same prompt for every second one, and is passed over
    assert seen == [
        ("w3 <eos>", (1.0,), "w6 <eos>"),
        ("w4 <eos>", (0.0,), "w6 <eos>"),
        ("w5 <eos>", (1.0,), "w4 <eos>"),
        ("w6 <eos>", (0.0,), "w4 <eos>"),
    ]
    assert all(e.mismatched.tree.trunk == e.tree.trunk for e in examples)
    with pytest.raises(InputError, match="all labelled answers are to one prompt"):
        labelled_examples(codec(), as_labelled(pairs[:1]), 100)


def test_a_list_goes_from_the_best_to_the_worst():
    rows = [
        RankedAnswers(prompt=chat("w1"), answers=("w3", "w4", "w5"), ranks=(2, 1, 2)),
        RankedAnswers(prompt=chat("w1"), answers=("w3", "w4"), ranks=(2, 1), scores=(0.5, 2.0)),
    ]
    first, second = ranked_examples(codec(), rows, 100).examples
    assert [words_of(b) for b in first.tree.branches] == ["w4 <eos>", "w3 <eos>", "w5 <eos>"]
    assert first.facts == {"ranks": (1.0, 2.0, 2.0)}
    assert second.facts == {"ranks": (1.0, 2.0), "scores": (2.0, 0.5)}


def judged(**meta):
    return [PreferencePair(prompt=chat("w1"), chosen="w3", rejected="w4", meta=meta)]


@pytest.mark.parametrize(
    ("meta", "unsafe", "less_safe"),
    [
        ({"chosen_safe": True, "rejected_safe": False}, (-1, 1), 1),
        ({"chosen_safe": False, "rejected_safe": True}, (1, -1), -1),  # preferred, and unsafe
        ({"chosen_safe": False, "rejected_safe": False}, (1, 1), 0),
        ({"chosen_safe": True, "rejected_safe": True, "safer": "rejected"}, (-1, -1), -1),
    ],
)
def test_a_pair_says_what_is_safe_apart_from_what_is_preferred(meta, unsafe, less_safe):
    (example,) = safety_examples(codec(), judged(**meta), 100).examples
    assert example.facts == {"unsafe": unsafe, "less_safe": (less_safe,)}


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({}, "row 0 does not say which of its answers are safe"),
        ({"chosen_safe": True, "rejected_safe": "no"}, "each true or false"),
        ({"chosen_safe": True, "rejected_safe": False, "safer": "rejected"}, "never the unsafe one of two"),
        ({"chosen_safe": True, "rejected_safe": True, "safer": 1}, "give chosen or rejected"),
    ],
)
def test_missing_or_contradictory_safety_is_one_sentence(meta, message):
    with pytest.raises(InputError, match=message):
        safety_examples(codec(), judged(**meta), 100)


def test_rows_of_another_kind_are_refused():
    pair = PreferencePair(prompt=chat("w1"), chosen="w3", rejected="w4")
    with pytest.raises(InputError, match="row 0 of the training data is a PreferencePair, but this method"):
        labelled_examples(codec(), [pair], 100)
    with pytest.raises(InputError, match="learns from RankedAnswers rows"):
        ranked_examples(codec(), [pair], 100)
