"""The two halves of a Llama layer around its attention, each one node of the autograd graph.

Written out op by op, a layer's norms, rotations, gates and sums read and write the residual stream some sixty times in
a forward and backward pass; on a CPU this takes as long as a third of its matrix products. Here each half knows its
own derivative, keeps what that needs and computes the rest again, and multiplies with all matrices of one input at
once.

    entry   n = g x / rms(x),  q, k = rotated n W_q, n W_k,  v = n W_v
    exit    s = x + a W_o,     y = s + (silu(m W_g) * m W_u) W_d,  m = g s / rms(s)

RMSNorm: Zhang and Sennrich 2019, arXiv 1910.07467, eq. 4; with u = x / rms(x), dx = (g dy - u mean(g dy u)) / rms(x).
Rotary embedding: Su et al. 2021, arXiv 2104.09864, eq. 13: the two halves of a head are real and imaginary parts, and a
position multiplies them by a complex number. The rows of W_q and W_k are put in the order that lays these parts side by
side; queries and keys are permuted alike, so that their products stay what they are. SwiGLU: Shazeer 2020, arXiv
2002.05202, eq. 6.

Shapes: N tokens, D hidden units, H heads, W head width, I units of the MLP.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

Grads = tuple[Tensor | None, ...]


def rotation(cos: Tensor, sin: Tensor) -> Tensor:
    """The complex numbers [N, 1, W/2] of rotary tables [N, W], whose second half repeats the first."""
    half = cos.shape[-1] // 2
    return torch.complex(cos[:, :half], sin[:, :half])[:, None]


def enter(
    hidden: Tensor, norm: Any, projections: Sequence[nn.Linear], turned: int, turn: Tensor, width: int
) -> tuple[Tensor, ...]:
    """Each projection [N, H, W] of the normed residual stream [N, D]; the first ``turned`` of them rotated."""
    weights, biases = [p.weight for p in projections], [p.bias for p in projections]
    found: tuple[Tensor, ...] = _Entry.apply(
        hidden, norm.weight, norm.variance_epsilon, turn, turned, width, *weights, *biases
    )  # type: ignore[no-untyped-call]
    return found


def leave(attended: Tensor, hidden: Tensor, out: nn.Linear, norm: Any, mlp: Any) -> Tensor:
    """The residual stream [N, D] after what was attended [N, H W] and the MLP."""
    left: Tensor = _Exit.apply(
        attended, hidden, norm.weight, norm.variance_epsilon,
        out.weight, mlp.gate_proj.weight, mlp.up_proj.weight, mlp.down_proj.weight,
        out.bias, mlp.gate_proj.bias, mlp.up_proj.bias, mlp.down_proj.bias,
    )  # type: ignore[no-untyped-call]  # fmt: skip
    return left


class _Entry(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, gain: Tensor, eps: float, turn: Tensor, turned: int, width: int, *given: Any
    ) -> tuple[Tensor, ...]:
        weights, biases = given[: len(given) // 2], given[len(given) // 2 :]
        ctx.turned, ctx.width = turned, width
        inverse = _inverse_rms(hidden, eps)
        found = _linear(
            (hidden * inverse).mul_(gain),
            _stack(weights, turned, width),
            None if biases[0] is None else _stack(biases, turned, width),
        )
        parts = torch.split(found.view(len(hidden), -1, width), [len(w) // width for w in weights], dim=1)
        for part in parts[:turned]:
            _as_complex(part).mul_(turn)
        ctx.save_for_backward(hidden, gain, inverse, turn, *weights)
        return parts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Grads:
        hidden, gain, inverse, turn, *weights = ctx.saved_tensors
        turned, width, sizes = ctx.turned, ctx.width, [len(weight) for weight in weights]
        back = turn.conj().resolve_conj()
        slope = hidden.new_empty(len(hidden), sum(sizes))
        for number, (part, grad) in enumerate(zip(torch.split(slope, sizes, dim=1), grads)):
            part = part.view(len(hidden), -1, width)
            if number < turned:
                torch.mul(_as_complex(grad), back, out=_as_complex(part))
            else:
                part.copy_(grad)
        unit = hidden * inverse
        needs = ctx.needs_input_grad[6:]
        learnt = any(needs[: len(sizes)])
        weight_grads: Grads = (None,) * len(sizes)
        bias_grads: Grads = (None,) * len(sizes)
        if learnt:
            weight_grads = _unstack(slope.T @ (unit * gain), sizes, turned, width)
        if any(needs[len(sizes) :]):
            bias_grads = _unstack(slope.sum(0), sizes, turned, width)
        hidden_grad, gain_grad = _norm_backward(slope @ _stack(weights, turned, width), unit, inverse, gain)
        wanted = [grad if need else None for grad, need in zip((*weight_grads, *bias_grads), needs)]
        return hidden_grad, gain_grad, None, None, None, None, *wanted


class _Exit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, attended: Tensor, hidden: Tensor, gain: Tensor, eps: float,
        out: Tensor, gate: Tensor, up: Tensor, down: Tensor,
        out_bias: Tensor | None, gate_bias: Tensor | None, up_bias: Tensor | None, down_bias: Tensor | None,
    ) -> Tensor:  # fmt: skip
        middle = torch.addmm(hidden, attended, out.T)
        if out_bias is not None:
            middle += out_bias
        inverse = _inverse_rms(middle, eps)
        bias = None if gate_bias is None or up_bias is None else torch.cat([gate_bias, up_bias])
        both = _linear((middle * inverse).mul_(gain), torch.cat([gate, up]), bias)
        gates, ups = both.tensor_split(2, dim=1)
        active = functional.silu(gates)
        left = torch.addmm(middle, active * ups, down.T)
        if down_bias is not None:
            left += down_bias
        ctx.save_for_backward(attended, middle, inverse, gain, both, active, out, gate, up, down)
        return left

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Grads:
        attended, middle, inverse, gain, both, active, out, gate, up, down = ctx.saved_tensors
        gates, ups = both.tensor_split(2, dim=1)
        needs = ctx.needs_input_grad[4:]
        down_grad = grad.T @ (active * ups) if needs[3] else None
        inner = grad @ down
        slope = torch.empty_like(both)
        gate_slope, up_slope = slope.tensor_split(2, dim=1)
        torch.mul(inner, active, out=up_slope)
        torch.ops.aten.silu_backward.grad_input(inner.mul_(ups), gates, grad_input=gate_slope)
        unit = middle * inverse
        both_grad = slope.T @ (unit * gain) if needs[1] or needs[2] else None
        middle_grad, gain_grad = _norm_backward(slope @ torch.cat([gate, up]), unit, inverse, gain)
        middle_grad += grad
        wide = slope.sum(0) if needs[5] or needs[6] else None
        return (
            middle_grad @ out,
            middle_grad,
            gain_grad,
            None,
            middle_grad.T @ attended if needs[0] else None,
            both_grad[: len(gate)] if both_grad is not None and needs[1] else None,
            both_grad[len(gate) :] if both_grad is not None and needs[2] else None,
            down_grad,
            middle_grad.sum(0) if needs[4] else None,
            wide[: len(gate)] if wide is not None and needs[5] else None,
            wide[len(gate) :] if wide is not None and needs[6] else None,
            grad.sum(0) if needs[7] else None,
        )


def _inverse_rms(hidden: Tensor, eps: float) -> Tensor:
    """1 / rms [N, 1]."""
    return hidden.square().mean(dim=-1, keepdim=True).add_(eps).rsqrt_()


def _norm_backward(grad: Tensor, unit: Tensor, inverse: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the norm's input (in the place of ``grad``) and of its gain; ``unit`` is x / rms(x)."""
    product = grad * unit
    mean = (product @ gain)[:, None] / len(gain)
    return grad.mul_(gain).addcmul_(unit, mean, value=-1.0).mul_(inverse), product.sum(0)


def _linear(tokens: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return tokens @ weight.T if bias is None else torch.addmm(bias, tokens, weight.T)


def _as_complex(part: Tensor) -> Tensor:
    """Heads [N, H, W] as [N, H, W/2] complex numbers."""
    return torch.view_as_complex(part.view(*part.shape[:-1], -1, 2))


def _stack(parts: Sequence[Tensor], turned: int, width: int) -> Tensor:
    """Weights [H W, D] (or biases) on top of each other, rows of the turned ones side by side with those half a head
    further."""
    first = parts[0]
    stacked = first.new_empty(sum(map(len, parts)), *first.shape[1:])
    for number, (part, place) in enumerate(zip(parts, torch.split(stacked, [len(part) for part in parts]))):
        if number < turned:
            place.view(_halves(part, width, last=True)).copy_(
                part.view(_halves(part, width, last=False)).transpose(1, 2)
            )
        else:
            place.copy_(part)
    return stacked


def _unstack(stacked: Tensor, sizes: list[int], turned: int, width: int) -> Grads:
    """The parts of what ``_stack`` put together, in their own order of rows."""
    parts = torch.split(stacked, sizes)
    return tuple(
        part.view(_halves(part, width, last=True)).transpose(1, 2).reshape(part.shape) if n < turned else part
        for n, part in enumerate(parts)
    )


def _halves(part: Tensor, width: int, *, last: bool) -> tuple[int, ...]:
    pair = (width // 2, 2) if last else (2, width // 2)
    return (len(part) // width, *pair, *part.shape[1:])
