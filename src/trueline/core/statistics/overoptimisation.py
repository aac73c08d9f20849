"""How gold reward follows divergence when a proxy is optimised (Gao et al. 2022, arXiv 2210.10760, section 3.1).

With d = √KL(π ‖ π₀), R the gain in reward over π₀:
    best-of-n      R(d) = d (α − β d)
    policy (RL)    R(d) = d (α − β log d)
Both are linear in (α, β), so least squares has a closed form. β > 0 means that the gain turns: at d = α/(2β), and at
d = exp(α/β − 1).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from trueline.core.errors import InputError

Form = Literal["best_of_n", "rl"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overoptimisation:
    """A fitted form; ``residual`` is the root mean square of what it leaves, ``turn`` the d of the most gain (None
    where it never turns)."""

    form: Form
    alpha: float
    beta: float
    residual: float
    turn: float | None

    def gain(self, distance: float) -> float:
        """R(d)."""
        bend = distance if self.form == "best_of_n" else math.log(distance) if distance > 0 else 0.0
        return distance * (self.alpha - self.beta * bend)


def fit_overoptimisation(distances: ArrayLike, gains: ArrayLike, form: Form) -> Overoptimisation:
    """Least squares over points of d = √KL > 0 and gain. Raises InputError below three different distances: two
    numbers go through any two points."""
    d, r = np.asarray(distances, dtype=float), np.asarray(gains, dtype=float)
    if d.shape != r.shape or d.ndim != 1 or len(np.unique(d)) < 3 or not (d > 0).all():
        raise InputError(
            f"{d.size} distances and {r.size} gains cannot be fitted: give as many of each, at three or more "
            "different distances above 0."
        )
    bend = d if form == "best_of_n" else np.log(d)
    design = np.stack([d, -d * bend], axis=1)
    (alpha, beta), *_ = np.linalg.lstsq(design, r, rcond=None)
    turn = None
    if beta > 0:
        turn = float(alpha / (2 * beta)) if form == "best_of_n" else float(np.exp(min(alpha / beta - 1, 700)))
    residual = float(np.sqrt(np.mean((design @ np.array([alpha, beta]) - r) ** 2)))
    return Overoptimisation(form=form, alpha=float(alpha), beta=float(beta), residual=residual, turn=turn)
