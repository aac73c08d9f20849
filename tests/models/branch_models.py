"""Small random models of many families, random trees, and the naive computation they are compared with."""

import random
from typing import Any

import torch
import transformers
from torch import Tensor

from trueline.models.trees import Tree

VOCABULARY = 97
WINDOW = 16
_BODY: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_GROUPED = _BODY | {"num_key_value_heads": 2, "head_dim": 8, "tie_word_embeddings": False}
_MIXED = {
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    "sliding_window": WINDOW,
}
_GPT2 = {
    "vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 512, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
_MAMBA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "state_size": 4,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
}

# name -> (configuration family, arguments)
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", _GROUPED),
    "qwen3": ("Qwen3", _GROUPED),
    "qwen3-mixed": ("Qwen3", _GROUPED | _MIXED | {"use_sliding_window": True, "max_window_layers": 1}),
    "mistral-window": ("Mistral", _GROUPED | {"sliding_window": WINDOW}),
    "gemma2": ("Gemma2", _GROUPED | _MIXED | {"query_pre_attn_scalar": 8, "attn_implementation": "eager"}),
    "gemma3": ("Gemma3Text", _GROUPED | _MIXED | {"query_pre_attn_scalar": 8}),
    "gpt2": ("GPT2", _GPT2),
    "gpt-neox": ("GPTNeoX", _BODY),
    "opt": ("OPT", _BODY | {"ffn_dim": 48, "word_embed_proj_dim": 16}),
    "granite": ("Granite", _GROUPED | {"logits_scaling": 4.0}),
    "cohere": ("Cohere", _GROUPED | {"logit_scale": 0.25, "tie_word_embeddings": True}),
    "mamba": ("Mamba", _MAMBA),
    "lfm2": ("Lfm2", _GROUPED | {"layer_types": ["conv", "full_attention", "conv"]}),
    "bloom": ("Bloom", {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "gpt-neo": (
        "GPTNeo",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "window_size": WINDOW,
            "attention_types": [[["global", "local"], 1]],
            "max_position_embeddings": 512,
        },
    ),
}


def make(name: str, *, seed: int = 0, **changes: Any) -> Any:
    """A random model in evaluation mode, its weights scaled up so that attention is far from uniform."""
    family, arguments = MODELS[name]
    config = getattr(transformers, f"{family}Config")(**arguments | changes)
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6)
    return model.eval()


def random_trees(seed: int, *, trunks: tuple[int, ...] = (1, 5, 30, 50, 9, 41)) -> list[Tree]:
    """Trees of different trunks, K and lengths; among them empty, one-token and single branches."""
    rng = random.Random(seed)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(rng.randrange(3, VOCABULARY) for _ in range(count))

    shapes = [(4, 1, 25), (3,), (6, 2, 9, 20), (0, 1, 1), (1, 12), (22, 22, 1, 5, 17)]
    return [
        Tree(trunk=tokens(trunk), branches=tuple(map(tokens, shape)))
        for trunk, shape in zip(trunks, shapes, strict=True)
    ]


def naive(model: Any, trees: list[Tree]) -> list[list[Tensor]]:
    """Log-probabilities of each branch from its own unpadded forward pass through the whole model."""
    out = []
    for tree in trees:
        branches = []
        for branch in tree.branches:
            whole = torch.tensor([tree.trunk + branch])
            logps = torch.log_softmax(model(input_ids=whole, use_cache=False).logits[0], dim=-1)
            at = torch.arange(len(tree.trunk) - 1, whole.shape[1] - 1)
            branches.append(logps[at, whole[0, at + 1]])
        out.append(branches)
    return out
