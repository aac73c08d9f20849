"""Small random models of families whose layers are built differently, and a target around one."""

from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from trueline.models.local import LocalTarget

VOCABULARY = 60
_BODY = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_GPT2 = {
    "vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", _BODY),
    "gemma2": ("Gemma2", _BODY | {"query_pre_attn_scalar": 8, "attn_implementation": "eager"}),
    "gpt2": ("GPT2", _GPT2),
}


def make(family: str = "llama", dtype: torch.dtype = torch.float32) -> Any:
    """A random model with weights large enough that layers matter."""
    name, arguments = FAMILIES[family]
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, f"{name}Config")(**arguments))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5)
    return model.to(dtype).eval()


def target(family: str = "llama") -> LocalTarget:
    """The model as a target with a tokenizer of whole words w0 ..."""
    words = ["<pad>", "<bos>", "<eos>", "<unk>", *(f"w{i}" for i in range(VOCABULARY - 4))]
    raw = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"
    )
    return LocalTarget.from_module(make(family), tokenizer, name=family)


def direction(size: int = 32, seed: int = 1, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A random direction."""
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)
