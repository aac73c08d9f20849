"""GRPO: group-relative policy optimisation (Shao et al. 2024, arXiv 2402.03300); with ``scale="none"`` and
``loss_norm="constant"`` Dr. GRPO (Liu et al. 2025, arXiv 2503.20783).

Each answer's reward is compared with the mean of its prompt's answers, over their spread. Example: rewards (1, 0, 0, 1)
have mean 0.5 and standard deviation 0.577; their advantages are ±0.866.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from trueline.core.errors import InputError

from .on_policy import OnPolicyTreatment

if TYPE_CHECKING:
    from trueline.training.groups import Method
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class GRPO(OnPolicyTreatment):
    """``beta`` is the strength: the price of divergence; the smaller, the further it goes.

    ``kl`` says how it is priced: k1 in the reward, or k2 or k3 in the loss. The paper differentiates k3, which
    is the gradient of another divergence (arXiv 2512.21852), so k2 stands in its place unless it is asked for.
    """

    beta: float = 0.04
    kl: Literal["k1", "k2", "k3"] = "k2"
    scale: Literal["group", "batch", "none"] = "group"
    loss_norm: Literal["sequence", "token", "constant"] = "sequence"

    name: ClassVar[str] = "grpo"

    def __post_init__(self) -> None:
        if self.kl not in ("k1", "k2", "k3"):
            raise InputError(f"kl {self.kl!r} is not known: give k1, k2 or k3.")
        super().__post_init__()

    def method(self) -> "Method":
        """A = (R − mean) / sd over the group."""
        from trueline.training.advantages.grpo import GroupRelative

        return GroupRelative(scale=self.scale, beta=self.beta if self.kl == "k1" else 0.0)

    def objective(self) -> "Objective":
        """−A times the clipped ratio of each token, with β KL."""
        from trueline.training.objectives.token_policy import TokenPolicyObjective

        return TokenPolicyObjective(
            name=self.name,
            loss_norm=self.loss_norm,
            beta=0.0 if self.kl == "k1" else self.beta,
            kl="k3" if self.kl == "k3" else "k2",
            max_tokens=self.max_tokens,
        )
