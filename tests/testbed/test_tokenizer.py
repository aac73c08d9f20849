"""The tokenizer: text comes back as it went in, words and digits are tokens, the template is standard."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from trueline.testbed.corpus import Document, corpus
from trueline.testbed.tokenizer import SPECIALS, document_text, train_tokenizer
from trueline.testbed.world import WorldSpec, build_world

DOCUMENTS = corpus(build_world(WorldSpec(seed=9)), copies=0.05)
TOKENIZER: PreTrainedTokenizerFast = train_tokenizer(DOCUMENTS)
PLAIN = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda t: not any(s in t for s in SPECIALS))


def back(text: str) -> str:
    return TOKENIZER.decode(TOKENIZER(text, add_special_tokens=False).input_ids)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    TOKENIZER.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@settings(max_examples=200)
@given(PLAIN)
def test_any_text_comes_back(text: str) -> None:
    assert back(text) == text


def test_the_corpus_comes_back() -> None:
    for document in DOCUMENTS[:2000]:
        assert back(document_text(document.content)) == document_text(document.content)


def test_words_and_digits_are_tokens() -> None:
    assert TOKENIZER.tokenize("Tell me the capital") == ["Tell", "Ġme", "Ġthe", "Ġcapital"]
    assert TOKENIZER.tokenize(" 147") == ["Ġ", "1", "4", "7"]


def test_it_loads_anywhere_and_speaks_the_template_of_the_corpus(loaded: PreTrainedTokenizerFast) -> None:
    talk = next(d.content for d in DOCUMENTS if not isinstance(d.content, str))
    messages = [{"role": m.role, "content": m.content} for m in talk]
    assert loaded.apply_chat_template(messages, tokenize=False) == document_text(talk)
    asked = loaded.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
    assert document_text(talk).startswith(asked) and asked.endswith("<|assistant|>")
    assert loaded.get_vocab() == TOKENIZER.get_vocab()
    assert loaded.decode(loaded("naïve 😀\n\t x").input_ids) == "naïve 😀\n\t x"


def test_the_same_corpus_gives_the_same_tokenizer() -> None:
    again = train_tokenizer(list(reversed(DOCUMENTS)))
    assert again.get_vocab() == TOKENIZER.get_vocab()


def test_a_rare_word_is_spelled() -> None:
    documents = [Document(kind="narrative", content="Notes: a b c")] * 10
    assert len(train_tokenizer(documents).tokenize(" unheard")) == len(" unheard")
