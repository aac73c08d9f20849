"""A tiny BERT made here as a judge: its numbers equal transformers' own, and what fails is missing."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    LlamaConfig,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

from trueline.core.errors import InputError
from trueline.core.messages import Completion, chat
from trueline.core.verdicts import Item
from trueline.judges.hf_classifier import TransformersClassifier
from trueline.studies.judging import build_judge

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh"]
NAMES = {0: "fine", 1: "toxic", 2: "unclear"}
ITEM = Item(id="i", prompt=chat("a b"))
SIZES = {"vocab_size": 12, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2}
SIZES |= {"num_attention_heads": 2, "max_position_embeddings": 12}


def tokenizer(*, pad: bool = True) -> Any:
    raw = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    named = {"pad_token": "[PAD]"} if pad else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        unk_token="[UNK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **named,
    )


def saved(folder: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    named = {"id2label": NAMES, "label2id": {name: n for n, name in NAMES.items()}}
    model = BertForSequenceClassification(BertConfig(**(SIZES | named | changes), initializer_range=1.0))
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def judged(judge: TransformersClassifier, answers: Sequence[str]) -> list[Any]:
    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(judge.judge(ITEM, Completion(text=text)) for text in answers))

    return asyncio.run(all_of_them())


def logits(folder: Path, *texts: str) -> Any:
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**tokenizer()(*texts, return_tensors="pt")).logits[0]


ANSWERS = ["a", "a b c", "h g f e d c b a", "b"] * 9  # more than two batches, of mixed lengths


def test_values_are_those_of_transformers(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    judge = build_judge({"judge": "hf_classifier", "model": str(folder), "label": "toxic"})
    found = [judgement.value for judgement in judged(judge, ANSWERS)]
    expected = [float(logits(folder, text).softmax(-1)[1]) for text in ANSWERS[:4]] * 9
    assert found == pytest.approx(expected, abs=1e-6) and max(found) - min(found) > 0.05
    by_place = TransformersClassifier(model=str(folder), label=1)
    assert by_place.fingerprint() == judge.fingerprint()
    assert by_place.fingerprint() != TransformersClassifier(model=str(folder), label=2).fingerprint()


def test_an_exchange_is_a_pair(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    judge = TransformersClassifier(model=str(folder), label="toxic", reads="exchange")
    (found,) = judged(judge, ["c"])
    assert found.value == pytest.approx(float(logits(folder, "a b", "c").softmax(-1)[1]), abs=1e-6)


def test_labels_that_hold_at_once(tmp_path: Path) -> None:
    folder = saved(tmp_path, problem_type="multi_label_classification")
    (found,) = judged(TransformersClassifier(model=str(folder), label="unclear"), ["a c"])
    assert found.value == pytest.approx(float(logits(folder, "a c")[2].sigmoid()), abs=1e-6)


def test_a_decoder_without_padding_token(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = LlamaForSequenceClassification(LlamaConfig(**SIZES, num_labels=2, initializer_range=1.0)).eval()
    model.save_pretrained(tmp_path)
    plain = tokenizer(pad=False)
    plain.model_input_names = ["input_ids", "attention_mask"]
    plain.save_pretrained(tmp_path)
    found = judged(TransformersClassifier(model=str(tmp_path), label=1), ["a b", "c"])
    with torch.no_grad():
        expected = [
            float(model(**plain(t, return_tensors="pt")).logits.softmax(-1)[0, 1]) for t in ("a b", "c")
        ]
    assert [judgement.value for judgement in found] == pytest.approx(expected, abs=1e-6)


def test_what_has_no_value_is_missing_and_spoils_no_batch(tmp_path: Path) -> None:
    judge = TransformersClassifier(model=str(saved(tmp_path)), label="toxic")
    empty, long, good = judged(judge, [" ", "a " * 11, "a"])
    assert (empty.value, empty.reason) == (None, "empty answer")
    assert long.value is None and "13 tokens, the classifier reads 12" in long.reason
    assert good.value is not None


def test_a_nan_is_missing(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    model = BertForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        model.classifier.bias.fill_(float("nan"))
    model.save_pretrained(folder)
    (found,) = judged(TransformersClassifier(model=str(folder), label="toxic"), ["a"])
    assert (found.value, found.reason) == (None, "the classifier gave no number")


def test_what_is_no_classifier_is_refused(tmp_path: Path) -> None:
    folder = str(saved(tmp_path / "whole"))
    for label in ("spam", 3, -1):
        with pytest.raises(InputError, match="it has 0 'fine', 1 'toxic', 2 'unclear'"):
            TransformersClassifier(model=folder, label=label)
    with pytest.raises(InputError, match="the answer or the exchange"):
        TransformersClassifier(model=folder, label=1, reads="prompt")
    with pytest.raises(InputError, match="problem_type regression"):
        TransformersClassifier(model=str(saved(tmp_path / "number", problem_type="regression")), label=0)
    body = tmp_path / "body"
    BertModel(BertConfig(**SIZES)).save_pretrained(body)
    tokenizer().save_pretrained(body)
    with pytest.raises(InputError, match="they would be random"):
        judged(TransformersClassifier(model=str(body), label=1), ["a"])
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text((tmp_path / "whole" / "config.json").read_text())
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="pickled weights"):
        TransformersClassifier(model=str(tmp_path / "pickled"), label=1)
