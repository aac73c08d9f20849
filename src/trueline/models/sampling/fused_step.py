"""A decoding step of a Llama-like model over shared prompts, without its modules' detours (on a CPU in fp32).

A step of few rows through a small model is mostly not arithmetic: a layer calls some fourteen modules and seventy
operations. Here the same weights go through a third of them. It serves where ``fused_body`` does; a probe
(``sharing_check``) shows first that the logits are the same.

Shapes: S rows, D hidden units, H heads, W head width, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trueline.models.forward.fused_body import can_fuse, family_of

from .prefix_attention import shared_prefix_attention


def can_step(model: Any) -> bool:
    """Whether a model and its head are ones whose step is written here, and may be passed by."""
    body, head = model.base_model, model.get_output_embeddings()
    family = family_of(body)
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    plain = not torch.is_autocast_enabled("cpu") and not torch.is_grad_enabled()
    return (
        plain
        and family is not None
        and name == f"{family}ForCausalLM"
        and type(head) is nn.Linear
        and can_fuse(body)
    )


def fused_step(model: Any, cache: Any, tokens: Tensor, positions: Tensor) -> Tensor:
    """Logits [S, V] after one more token [S] a row; the cache's step has begun (``prefix_attention.sharing``)."""
    body = model.base_model
    hidden: Tensor = body.embed_tokens(tokens)
    cos, sin = body.rotary_emb(hidden, positions[:, None])  # [S, 1, W]
    for layer, kept in zip(body.layers, cache.layers):
        attention = layer.self_attn
        normed = _normed(hidden, layer.input_layernorm)
        query, key, value = (
            _linear(normed, projection).view(len(hidden), -1, attention.head_dim)
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        heads = query.shape[1]
        turned = _turned(torch.cat([query, key], dim=1), cos, sin)[:, :, None]
        keys, values = kept.update(turned[:, heads:], value[:, :, None])
        attended, _ = shared_prefix_attention(
            attention, turned[:, :heads], keys, values, None, scaling=attention.scaling
        )
        hidden = hidden + _linear(attended.flatten(1), attention.o_proj)
        normed = _normed(hidden, layer.post_attention_layernorm)
        mlp = layer.mlp
        active = functional.silu(_linear(normed, mlp.gate_proj), inplace=True).mul_(
            _linear(normed, mlp.up_proj)
        )
        hidden = hidden + _linear(active, mlp.down_proj)
    return _linear(_normed(hidden, body.norm), model.get_output_embeddings())


def _normed(hidden: Tensor, norm: Any) -> Tensor:
    return functional.rms_norm(hidden, hidden.shape[-1:], norm.weight, norm.variance_epsilon)


def _linear(tokens: Tensor, module: Any) -> Tensor:
    return functional.linear(tokens, module.weight, module.bias)


def _turned(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of heads [S, H, W] (Su et al. 2021, arXiv 2104.09864, equation 34)."""
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1).mul_(sin).addcmul_(heads, cos)
