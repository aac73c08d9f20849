"""A fine-tune under elastic weight consolidation (Kirkpatrick et al. 2016, arXiv 1612.00796).

Weights to which the safe answers of ``resources.safety`` are sensitive are held near where they were, by a
quadratic penalty with the diagonal Fisher information at those answers (training/ewc.py). Example: with F = 4,
λ = 100 and a weight moved by 0.1, the penalty is 100/2 · 4 · 0.01 = 2.
"""

import time
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.protocols import Resources, Target
from trueline.training.budget import Spent

from .sft import SupervisedFineTuning
from .trained import refuse_sharded, train_copy, within_window


@dataclass(frozen=True, kw_only=True)
class ElasticWeightConsolidation(SupervisedFineTuning):
    """Learns ``resources.demonstrations``, held by λ = ``strength`` where ``resources.safety`` needs it.

    The Fisher information is taken over the first ``fisher_examples`` safe answers. The paper gives no λ for
    language models; 400 is that of its games.
    """

    strength: float = 400.0
    fisher_examples: int = 100

    name: ClassVar[str] = "ewc"
    shards: ClassVar[bool] = False
    resources: ClassVar[tuple[str, ...]] = ("demonstrations", "safety")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.strength > 0:
            raise InputError(f"ewc with strength {self.strength} is plain sft: give a number above 0.")
        if self.fisher_examples < 1:
            raise InputError(f"ewc with fisher_examples {self.fisher_examples}: give at least 1.")
        if self.lora:
            raise InputError("ewc holds the model's own weights, which lora does not train: leave lora out.")

    def apply(self, target: Target, resources: Resources) -> Target:
        """A new target. Raises InputError without a local model, or without either kind of data."""
        from trueline.training.batches import examples_digest
        from trueline.training.ewc import Anchored, EWCObjective, diagonal_fisher
        from trueline.training.flops import model_size, tokens_of, training_flops

        from .copies import codec_of, fresh_model, local, trained_target

        base = local(target, self.name)
        refuse_sharded(self.name, resources)
        if not resources.demonstrations or not resources.safety:
            raise InputError(
                "ewc learns from demonstrations and holds what safety data need: give resources.demonstrations and "
                "resources.safety."
            )
        config = within_window(self.config(resources.seed), base)
        codec = codec_of(base)
        safe = self.prepare(codec, tuple(resources.safety)[: self.fisher_examples], config.max_length)
        model = fresh_model(base).requires_grad_(True)
        started = time.perf_counter()
        fisher = diagonal_fisher(model, safe.examples, resources.progress)
        trees = [example.tree for example in safe.examples]
        spent = Spent(
            tokens=float(tokens_of(trees)),
            flops=training_flops(model_size(model), trees),  # a backward pass for each example
            seconds=time.perf_counter() - started,
        )
        held = Anchored(
            {name: parameter.detach().clone() for name, parameter in model.named_parameters()},
            fisher,
            key=fingerprint([base.fingerprint(), examples_digest(safe.examples)]),
        )
        folder, manifest = train_copy(
            base,
            self.prepare(codec, tuple(resources.demonstrations), config.max_length),
            objective=EWCObjective(held=held, strength=self.strength, inner=self.objective()),
            config=config,
            treatment={**self.settings(), "held": held.fingerprint()},
            resources=resources,
            build=lambda: model,
            spent=spent,
        )
        provenance = {
            "treatment": self.settings(),
            "training": manifest["training"],
            "data": manifest["data"],
        }
        return trained_target(base, folder, method=self.name, provenance=provenance)
