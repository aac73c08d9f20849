"""Tiny random models and token data for the training tests."""

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

from trueline.models.trees import Tree
from trueline.training.batches import Example

VOCABULARY = 41


def config(**changes):
    sizes = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "attn_implementation": "sdpa",
        "initializer_range": 0.3,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
    }
    return LlamaConfig(**{**sizes, **changes})


def llama(dtype=torch.float32, seed=0, **changes):
    torch.manual_seed(seed)
    return LlamaForCausalLM(config(**changes)).to(dtype).eval()


def value_llama(dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return LlamaForSequenceClassification(config(num_labels=1)).to(dtype).eval()


def examples(n, branches, seed=0):
    """n examples with random tokens and unequal lengths."""
    draw = np.random.default_rng(seed)

    def tokens(low, high):
        return tuple(int(t) for t in draw.integers(1, VOCABULARY, draw.integers(low, high)))

    made = []
    for index in range(n):
        tree = Tree(trunk=tokens(3, 12), branches=tuple(tokens(2, 9) for _ in range(branches)))
        made.append(Example(tree=tree, index=index))
    return made


def naive_logps(model, tree):
    """Log-probabilities of each branch, one padded-free sequence at a time."""
    out = []
    for branch in tree.branches:
        ids = torch.tensor([tree.trunk + branch])
        logps = torch.log_softmax(model(input_ids=ids).logits[0, :-1].double(), dim=-1)
        out.append(logps.gather(-1, ids[0, 1:, None])[len(tree.trunk) - 1 :, 0])
    return out
