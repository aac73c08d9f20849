"""Tiny random models and a byte-level tokenizer, for everything that needs a whole transformers folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL = ("<pad>", "<bos>", "<eos>")
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def byte_tokenizer(
    *, template: str | None = TEMPLATE, bos: bool = True, eos: bool = True, merges: Sequence[str] = ()
) -> Any:
    """Every byte is a token, after the three special ones; raw text gets <bos> unless there is none.

    ``merges`` are pairs such as "a b" that become tokens of their own.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [(a, b) for a, b in (merge.split() for merge in merges)]
    words = [*SPECIAL, *alphabet, *(a + b for a, b in pairs)]
    raw = Tokenizer(models.BPE(vocab={word: n for n, word in enumerate(words)}, merges=pairs))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    if bos:
        raw.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    named = {"bos_token": "<bos>"} if bos else {}
    named |= {"eos_token": "<eos>"} if eos else {}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", **named)
    tokenizer.chat_template = template
    return tokenizer


def tiny_llama(*, seed: int = 0, sharpness: float = 4.0, **changes: Any) -> Any:
    """A random two-layer Llama for the byte tokenizer; ``sharpness`` scales weights so that texts vary."""
    settings = {
        "vocab_size": 272,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**(settings | changes)))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(sharpness)
    return model.eval()


@dataclass(frozen=True)
class Shift:
    """An intervention: adds ``size`` to every hidden unit after one layer."""

    size: float
    layer: int = 0

    @property
    def key(self) -> str:
        return f"shift-{self.layer}-{self.size}"

    @contextmanager
    def entered(self, module: Any) -> Iterator[None]:
        def add(_: Any, __: Any, output: Any) -> Any:
            return (
                output + self.size
                if isinstance(output, torch.Tensor)
                else (output[0] + self.size, *output[1:])
            )

        handle = module.model.layers[self.layer].register_forward_hook(add)
        try:
            yield
        finally:
            handle.remove()
