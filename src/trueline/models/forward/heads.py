"""From hidden states to what is read: the language-model head on chunks of positions, in fp32 or better.

A vocabulary of 256 k over a row of 8 k tokens would be 8 GB in fp32, so logits exist for a chunk at a time.
Under gradients the chunk is computed again in the backward pass: for log-probabilities over a plain linear
head by :class:`_LogProbability` (which also adds up the weight gradient in place, and on a CPU keeps the first
chunks instead, up to a limit), otherwise by checkpointing.

Shapes: P positions, D hidden units, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from .readers import Reader, entropy_without_gradient, log_probability

# Logits held at once, in elements: 8 MB in fp32 stays near a CPU's cache (larger and smaller chunks were
# slower there); an accelerator wants larger products.
CPU_CHUNK, DEVICE_CHUNK = 2**21, 2**26
# Exponentials of logits kept for the backward pass on a CPU, in elements (128 MB in fp32): there computing them again
# takes a fourth of the head's time.
CPU_KEPT = 2**25


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitScaling:
    """What a model does to its head's output: multiplied by ``scale``, then capped to ±``cap`` by a tanh."""

    scale: float = 1.0
    cap: float | None = None

    def __call__(self, logits: Tensor) -> Tensor:
        if self.scale != 1.0:
            logits = logits * self.scale
        return logits if self.cap is None else torch.tanh(logits / self.cap) * self.cap


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Hidden states [P, D] to the model's own logits [P, V], at least fp32."""

    module: nn.Module
    scaling: LogitScaling
    vocabulary: int

    def __call__(self, hidden: Tensor) -> Tensor:
        return self.scaling(at_least_fp32(self.module(hidden)))

    def chunk(self, device: torch.device) -> int:
        """Positions whose logits are held at once."""
        return max(1, (CPU_CHUNK if device.type == "cpu" else DEVICE_CHUNK) // self.vocabulary)


def at_least_fp32(values: Tensor) -> Tensor:
    """fp16 and bf16 become fp32; fp32 and fp64 stay."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def in_chunks(function: Callable[..., Any], *tensors: Tensor, chunk: int) -> Any:
    """``function`` over chunks of the first dimension of ``tensors``, joined; recomputed in the backward
    pass.

    ``function`` returns a tensor with that first dimension, or a (nested, named) tuple of such tensors.
    """
    parts = []
    for group in zip(*(torch.split(tensor, chunk) for tensor in tensors)):
        if torch.is_grad_enabled():
            parts.append(checkpoint(function, *group, use_reentrant=False, preserve_rng_state=False))
        else:
            parts.append(function(*group))
    return _join(parts)


def read_hidden(head: Head, hidden: Tensor, targets: Tensor, readers: Sequence[Reader]) -> tuple[Any, ...]:
    """What each reader says of hidden states [P, D] and targets [P]; all share one computation of the
    logits."""
    chunk = head.chunk(hidden.device)
    if set(readers) <= {log_probability, entropy_without_gradient} and _is_plain_linear(head.module):
        weight, bias = head.module.weight, head.module.bias
        fused: Callable[..., tuple[Tensor, Tensor | None]] = _LogProbability.apply
        spread = entropy_without_gradient in readers
        # under a cap the gradient needs the logits themselves
        keeps = torch.is_grad_enabled() and hidden.device.type == "cpu" and head.scaling.cap is None
        room = CPU_KEPT if keeps else 0
        logps, entropies = fused(hidden, weight, bias, targets, head.scaling, chunk, room, spread)
        return tuple(logps if reader is log_probability else entropies for reader in readers)

    def read(states: Tensor, wanted: Tensor) -> tuple[Any, ...]:
        logits = head(states)
        return tuple(reader(logits, wanted) for reader in readers)

    result: tuple[Any, ...] = in_chunks(read, hidden, targets, chunk=chunk)
    return result


def read_rows(
    head: Head, states: Tensor, rows: Tensor, targets: Tensor, readers: Sequence[Reader]
) -> tuple[Any, ...]:
    """What each reader says of ``states[rows]``, without gradients: a row that several positions [P] have in common
    goes through the head once."""
    if len(states) >= len(rows):
        return read_hidden(head, states.index_select(0, rows), targets, readers)
    order = rows.argsort(stable=True)
    rows, targets = rows[order], targets[order]
    chunk, parts = head.chunk(states.device), []
    with torch.no_grad():
        for start in range(0, len(states), chunk):
            logits = head(states[start : start + chunk])
            here = (rows >= start) & (rows < start + chunk)
            at, wanted = rows[here] - start, targets[here]
            parts.append(tuple(_read_rows(reader, logits, at, wanted, chunk) for reader in readers))
    result: tuple[Any, ...] = _pick(_join(parts), order.argsort())
    return result


def _read_rows(reader: Reader, logits: Tensor, rows: Tensor, targets: Tensor, chunk: int) -> Any:
    if reader is log_probability:
        return logits[rows, targets] - torch.logsumexp(logits, dim=-1)[rows]
    return in_chunks(lambda at, wanted: reader(logits[at], wanted), rows, targets, chunk=chunk)


def _pick(values: Any, order: Tensor) -> Any:
    """A tensor, or a nested (named) tuple of tensors, in this order."""
    if isinstance(values, Tensor):
        return values[order]
    parts = [_pick(value, order) for value in values]
    return type(values)(*parts) if hasattr(values, "_fields") else tuple(parts)


def _join(parts: list[Any]) -> Any:
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(parts) if len(parts) > 1 else first
    joined = [_join(list(column)) for column in zip(*parts)]
    return type(first)(*joined) if hasattr(first, "_fields") else tuple(joined)


class _LogProbability(torch.autograd.Function):
    """log p(target) over a linear head, chunk by chunk; the backward pass computes again what was not kept.

    ``room`` is how many exponentials may be kept. With ``spread`` also the entropy, log Σ exp(y) − Σ p y, without
    gradient. With z = s W h, y = c tanh(z / c) and p = softmax(y): d log p_t / dy = onehot(t) - p.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        scaling: LogitScaling,
        chunk: int,
        room: int,
        spread: bool,
    ) -> tuple[Tensor, Tensor | None]:
        # Under autocast a weight is cast once here, not once a chunk.
        dtype = _compute_dtype(weight)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
        room = room if any(ctx.needs_input_grad) else 0
        logps, norms, sums, entropies, kept = [], [], [], [], []
        for states, wanted in zip(torch.split(hidden, chunk), torch.split(targets, chunk)):
            logits = scaling(at_least_fp32(functional.linear(states, weight, bias)))
            top = logits.amax(dim=-1, keepdim=True)
            picked = (logits.gather(-1, wanted[:, None]) - top)[:, 0]
            below = logits.sub_(top)
            powers = below.exp() if spread else below.exp_()
            total = powers.sum(dim=-1)
            logps.append(picked - total.log())
            norms.append(top[:, 0] + total.log())
            sums.append(total)
            if spread:
                # a token of probability 0 may have the logit −inf: it adds nothing
                weighed = below.masked_fill_(powers == 0, 0.0).mul_(powers).sum(dim=-1)
                entropies.append(total.log() - weighed / total)
            room -= powers.numel()
            if room >= 0:
                kept.append(powers)
        ctx.save_for_backward(hidden, weight, bias, targets, torch.cat(norms), torch.cat(sums), *kept)
        ctx.scaling, ctx.chunk = scaling, chunk
        if not spread:
            return torch.cat(logps), None
        found = torch.cat(entropies)
        ctx.mark_non_differentiable(found)
        return torch.cat(logps), found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, targets, norms, sums, *kept = ctx.saved_tensors
        needs_hidden, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        wide = torch.promote_types(weight.dtype, torch.float32)
        grad_weight = torch.zeros(weight.shape, dtype=wide, device=weight.device) if needs_weight else None
        grad_bias = torch.zeros(len(weight), dtype=wide, device=weight.device) if needs_bias else None
        grad_hidden = []
        pieces = zip(*(torch.split(tensor, ctx.chunk) for tensor in (hidden, targets, norms, sums, grad)))
        with torch.autocast(weight.device.type, enabled=False):
            for number, (states, wanted, norm, total, slope) in enumerate(pieces):
                tail = None
                if number < len(kept):
                    back = kept[number] * (-slope / total)[:, None]
                else:
                    logits = ctx.scaling(at_least_fp32(functional.linear(states, weight, bias)))
                    if ctx.scaling.cap is not None:
                        tail = 1 - (logits / ctx.scaling.cap).square()
                    back = logits.sub_(norm[:, None]).exp_().mul_(-slope[:, None])
                back.scatter_add_(1, wanted[:, None], slope[:, None])
                if tail is not None:
                    back *= tail
                if ctx.scaling.scale != 1.0:
                    back *= ctx.scaling.scale
                if grad_bias is not None:
                    grad_bias += back.sum(0)
                back = back.to(weight.dtype)
                if needs_hidden:
                    grad_hidden.append(back @ weight)
                if grad_weight is not None and wide == weight.dtype:
                    grad_weight.addmm_(back.T, states)
                elif grad_weight is not None:
                    grad_weight += back.T @ states
        return (
            torch.cat(grad_hidden) if needs_hidden else None,
            grad_weight,
            grad_bias,
            None,
            None,
            None,
            None,
            None,
        )


def _compute_dtype(weight: Tensor) -> torch.dtype:
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def _is_plain_linear(module: nn.Module) -> bool:
    """No adapter, quantisation, sharding or hook stands between the weight and the logits."""
    hooked = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
    return type(module) is nn.Linear and type(module.weight) is nn.Parameter and not hooked
