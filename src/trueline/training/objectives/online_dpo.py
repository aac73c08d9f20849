"""DPO's loss on a rollout's own pairs (Guo et al. 2024, arXiv 2402.04792), with what a policy is watched by.

The loss is dpo.py's. Its pairs are the policy's own answers, so the entropy of the distributions they were drawn from
tells, as for the policy gradients, whether the policy narrows while it learns.
"""

from dataclasses import dataclass
from typing import ClassVar

from trueline.training.batches import Scored
from trueline.training.readings import ENTROPY, LOGPS, Reading

from .base import Loss, Totals
from .dpo import DPOObjective
from .pairs import PairObjective


@dataclass(frozen=True, kw_only=True)
class OnlineDPOObjective(DPOObjective):
    """DPO, and the mean entropy of the tokens of both answers, in nats."""

    name: ClassVar[str] = "online_dpo"
    reads: ClassVar[tuple[Reading, ...]] = (LOGPS, ENTROPY)
    metrics: ClassVar[tuple[str, ...]] = (*PairObjective.metrics, "entropy")

    def loss(self, scored: Scored, totals: Totals) -> Loss:
        """DPO's share of the mean over pairs."""
        share = PairObjective.loss(self, scored, totals)
        entropy = scored.flat(ENTROPY.name).sum() / totals["tokens"]
        return Loss(value=share.value, metrics={**share.metrics, "entropy": entropy})
