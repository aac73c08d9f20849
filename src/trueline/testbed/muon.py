"""Muon: the step of a weight matrix is its momentum, made orthogonal.

Jordan et al. 2024 (kellerjordan.github.io/posts/muon); the scale is Moonlight's (Liu et al. 2025, arXiv
2502.16982, eq. 4), so that a step has the root mean square of a usual Adam step and one learning rate serves
both. With momentum M ← μM + G and NS an iteration towards UVᵀ of M = USVᵀ:

    W ← W − η · (0.2 · √max(rows, columns) · NS(G + μM) + λW)

``torch.optim.Muon`` is the same rule in bfloat16, one matrix after another; on a CPU a step of these models takes
it 18 times as long, which would be most of their training.
"""

from collections.abc import Iterable

import torch

# Quintic coefficients of the post above: they lift small singular values fast, to within [0.7, 1.2] of 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ROUNDS = 5


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """About UVᵀ of each matrix USVᵀ; shape [n, rows, columns] in and out."""
    wide = matrices.shape[-1] >= matrices.shape[-2]
    x: torch.Tensor = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):
    """For the matrices inside a network; embeddings, heads and vectors want AdamW."""

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step; matrices of one shape are made orthogonal together."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[torch.nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(tuple(parameter.shape), []).append(parameter)
            for shape, parameters in by_shape.items():
                steps = orthogonal(torch.stack([self._towards(p, group["momentum"]) for p in parameters]))
                size = group["lr"] * 0.2 * max(shape) ** 0.5
                for parameter, change in zip(parameters, steps):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(change, alpha=-size)

    def _towards(self, parameter: torch.nn.Parameter, momentum: float) -> torch.Tensor:
        """Nesterov's look ahead."""
        kept = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
        assert parameter.grad is not None
        kept.mul_(momentum).add_(parameter.grad)
        return parameter.grad.add(kept, alpha=momentum)
