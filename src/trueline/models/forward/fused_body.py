"""A Llama-like decoder run with its layers in two halves each (``fused_ops``), on a CPU in fp32.

It is the model's own computation with the same weights in fewer passes over memory; the modules stay as they are. It
serves where every module is exactly the one that transformers wrote, without hooks, adapters or replaced forwards; a
probe (``paths``) shows first that the hidden states are the same. The last layer asks, answers and adds its MLP only
where the batch is read: what it would add elsewhere is seen by nobody.

Shapes: R rows, L columns, N = R L tokens, P of them read, D hidden units, H heads, W head width.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .block_attention import Attend, Blocks, attend_blocks, blocks_of, blocks_read
from .fused_ops import enter, leave, rotation
from .last_layer import columns_read
from .packing import Batch

_FAMILIES = tuple(
    f"transformers.models.{name}"
    for name in (
        "llama.modeling_llama.Llama",
        "mistral.modeling_mistral.Mistral",
        "qwen2.modeling_qwen2.Qwen2",
    )
)
_KINDS = {
    "self_attn": "Attention",
    "mlp": "MLP",
    "input_layernorm": "RMSNorm",
    "post_attention_layernorm": "RMSNorm",
}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def family_of(body: Any) -> str | None:
    """Where the classes of a decoder of this build come from, and how their names begin; None for others."""
    return next((family for family in _FAMILIES if _is(body, f"{family}Model")), None)


def can_fuse(body: Any) -> bool:
    """Whether every module of a decoder is one whose computation is written here, and may be passed by."""
    family = family_of(body)
    if family is None:
        return False
    if not all(map(_untouched, body.modules())):
        return False
    return (
        type(body.embed_tokens) is nn.Embedding
        and _is(body.norm, f"{family}RMSNorm")
        and _is(body.rotary_emb, f"{family}RotaryEmbedding")
        and all(_known_layer(layer, family, body.training) for layer in body.layers)
    )


def _untouched(module: nn.Module) -> bool:
    """No hook and no replaced forward, and plain parameters in fp32 on a CPU. Asked for every batch, so it looks into
    the module's own dictionary, past torch's slow search for attributes."""
    own = module.__dict__
    return (
        "forward" not in own
        and not any(own[hooks] for hooks in _HOOKS)
        and all(
            p is None or (type(p) is nn.Parameter and p.dtype is torch.float32 and p.is_cpu)
            for p in own["_parameters"].values()
        )
    )


def _is(module: Any, name: str) -> bool:
    return f"{type(module).__module__}.{type(module).__qualname__}" == name


def _known_layer(layer: Any, family: str, training: bool) -> bool:
    attention, mlp = layer.self_attn, layer.mlp
    linear = (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj,
        mlp.gate_proj, mlp.up_proj, mlp.down_proj)  # fmt: skip
    return (
        _is(layer, f"{family}DecoderLayer")
        and all(_is(getattr(layer, part), family + kind) for part, kind in _KINDS.items())
        and all(type(module) is nn.Linear for module in linear)
        and (attention.q_proj.bias is None)
        == (attention.k_proj.bias is None)
        == (attention.v_proj.bias is None)
        and (mlp.gate_proj.bias is None) == (mlp.up_proj.bias is None)
        and type(mlp.act_fn).__name__ in ("SiLUActivation", "SiLU")
        and not (training and (layer.gradient_checkpointing or attention.attention_dropout))
    )


def fused_states(
    body: Any, batch: Batch, tokens: Tensor, positions: Tensor | None, mask: Tensor | None
) -> Tensor:
    """Last hidden states [P, D] of token ids [R, L] where the batch is read, in the order of ``columns_read``."""
    if positions is None:
        positions = torch.arange(tokens.shape[1], device=tokens.device)[None]
    hidden = body.embed_tokens(tokens)
    cos, sin = (
        table.expand(len(tokens), -1, -1).flatten(0, 1) for table in body.rotary_emb(hidden, positions)
    )
    turn = rotation(cos, sin)
    hidden = hidden.flatten(0, 1)
    read = torch.tensor(columns_read(batch), device=hidden.device)
    attend, attend_read = _attention(batch, mask, read)
    for layer in body.layers[:-1]:
        hidden = _layer(layer, hidden, turn, attend)
    hidden = _layer(body.layers[-1], hidden, turn, attend_read, read)
    normed: Tensor = body.norm(hidden)
    return normed


Asking = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def _layer(layer: Any, hidden: Tensor, turn: Tensor, attend: Asking, read: Tensor | None = None) -> Tensor:
    """The residual stream [N, D] after a layer; where only some tokens are read, theirs [P, D]."""
    attention, norm = layer.self_attn, layer.input_layernorm
    width, projections = attention.head_dim, (attention.q_proj, attention.k_proj, attention.v_proj)
    if read is None:
        query, key, value = enter(hidden, norm, projections, 2, turn, width)
    else:
        key, value = enter(hidden, norm, projections[1:], 1, turn, width)
        hidden = hidden.index_select(0, read)
        (query,) = enter(hidden, norm, projections[:1], 1, turn.index_select(0, read), width)
    attended = attend(query, key, value, attention.scaling)
    return leave(attended, hidden, attention.o_proj, layer.post_attention_layernorm, layer.mlp)


def _attention(batch: Batch, mask: Tensor | None, read: Tensor) -> tuple[Asking, Asking]:
    """Attention of all tokens of a batch, and of those that are read: queries [N or P, H, W], keys and values
    [N, K, W] to [N or P, H W]."""
    if not batch.joined:
        rows = len(batch.rows)

        def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
            q, k, v = (part.view(rows, -1, *part.shape[1:]).transpose(1, 2) for part in (query, key, value))
            return _attend(scale)(q, k, v, mask, mask is None).flatten(0, 1).flatten(1)

        def attend_read(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
            spread = query.new_zeros(len(key), *query.shape[1:]).index_copy(0, read, query)
            return attend(spread, key, value, scale).index_select(0, read)

        return attend, attend_read

    (row,) = batch.rows

    def in_blocks(cut: Sequence[Blocks]) -> Asking:
        def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
            q, k, v = (part.transpose(0, 1)[None] for part in (query, key, value))
            return attend_blocks(_attend(scale), q, k, v, cut).flatten(0, 1).flatten(1)

        return attend

    kinds: Any = {"device": read.device, "dtype": torch.float32}
    cut = [blocks_of(piece, **kinds) for piece in row]
    return in_blocks(cut), in_blocks([blocks_read(piece, blocks) for piece, blocks in zip(row, cut)])


def _attend(scale: float) -> Attend:
    def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        if (groups := query.shape[1] // key.shape[1]) > 1:
            key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
        found = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=causal, scale=scale
        )
        return found.transpose(1, 2)

    return attend
