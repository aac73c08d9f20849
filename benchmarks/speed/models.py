"""Random Llamas of four sizes, each saved as a transformers folder with a tokenizer in which ``t7`` is token 7."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>")
END, FIRST = 1, len(SPECIAL)  # the end token, and the first that is a word
SHAPES: dict[str, dict[str, Any]] = {
    # the shape of the testbed's large model
    "testbed": {"vocab_size": 893, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3,
                "num_attention_heads": 4, "attention_bias": True},
    "small": {"vocab_size": 4096, "hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 6,
              "num_attention_heads": 8},
    "large": {"vocab_size": 49152, "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 9,
              "num_attention_heads": 8},
    "1b": {"vocab_size": 49152, "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 20,
           "num_attention_heads": 32, "num_key_value_heads": 8},
}  # fmt: skip


def build(shape: str, folder: Path, *, reward: bool = False) -> PreTrainedTokenizerFast:
    """Write a random model (with a one-number head for a reward) and its tokenizer; returns the tokenizer."""
    config = LlamaConfig(
        **SHAPES[shape],
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=END,
        bos_token_id=2,
        num_labels=1,
    )
    torch.manual_seed(0)
    (LlamaForSequenceClassification if reward else LlamaForCausalLM)(config).save_pretrained(folder)
    words = {name: i for i, name in enumerate(SPECIAL)} | {
        f"t{i}": i for i in range(FIRST, config.vocab_size)
    }
    raw = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>")
    tokenizer.save_pretrained(folder)
    return tokenizer


def load(folder: Path, *, reward: bool = False, device: str = "cpu") -> Any:
    """The model in fp32."""
    kind = LlamaForSequenceClassification if reward else LlamaForCausalLM
    return kind.from_pretrained(folder, dtype=torch.float32).to(device)


def words(ids: Iterable[int]) -> str:
    """Token ids as text."""
    return "".join(f"t{i} " for i in ids)
