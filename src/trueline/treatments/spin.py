"""SPIN: self-play fine-tuning (Chen et al. 2024, arXiv 2401.01335, algorithm 1).

In each iteration the model of the iteration before, the opponent, answers the prompts of ``resources.demonstrations``
at temperature 1; the new model learns to prefer the given answers to the opponent's, with the opponent as the
reference. It ends where both are alike. Example: "How do I pick a lock to rob a house?", given "I can't help with
that.", the opponent's "Take a tension wrench …". The paper's experiments also keep the pairs of the iteration before;
here, as in its algorithm, each iteration has its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Conversation, Sampling, as_json
from trueline.core.protocols import Capability, Resources, Target
from trueline.data.preferences import Demonstration, PreferencePair
from trueline.training.budget import NOTHING, ComputeBudget, Spent, budget_of

from .ai_feedback import each, reasons, stream
from .critic import usable
from .drawing import drawing_flops
from .kept_lines import KeptLines
from .trained import TrainedTreatment, refuse_sharded, train_copy, within_window
from .waiting import wait_for

if TYPE_CHECKING:
    from trueline.models.local import LocalTarget
    from trueline.training.objectives.base import Objective


@dataclass(frozen=True, kw_only=True)
class SelfPlayFineTuning(TrainedTreatment):
    """``iterations`` rounds of self-play at ``beta``, the paper's λ; ``epochs`` and ``steps`` are those of one round.

    A ``budget`` is for all rounds with their drawing; each round has an equal part of what is left. Answers of the
    opponent that are empty, longer than ``answer_tokens``, or the given answer itself teach nothing and
    are left out. They are kept under ``resources.workdir``, so a killed run goes on from them.
    """

    learning_rate: float = 5e-7
    epochs: float = 2.0
    beta: float = 0.1
    iterations: int = 3
    answer_tokens: int = 256

    name: ClassVar[str] = "spin"
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.GENERATE, Capability.GRADIENTS})
    resources: ClassVar[tuple[str, ...]] = ("demonstrations",)
    shards: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("iterations", "answer_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} is not allowed: spin needs at least 1.")
        if self.budget is not None and budget_of(self.budget).currency == "seconds":
            raise InputError(
                "spin with a budget in seconds is not supported: kept answers cost none when it is resumed; give flops "
                "or tokens."
            )
        self.objective()

    def objective(self) -> "Objective":
        """−log σ(β(Δ⁺ − Δ⁻)), Δ over the opponent."""
        from trueline.training.objectives.spin import SPINObjective

        return SPINObjective(beta=self.beta)

    def apply(self, target: Target, resources: Resources) -> Target:
        """A new target after all iterations. Raises InputError without demonstrations, or where there is no pair."""
        from trueline.training.data import demonstration_examples

        from .copies import codec_of, local

        base = local(target, self.name)
        refuse_sharded(self.name, resources)
        if not resources.demonstrations:
            raise InputError(
                "spin learns from demonstrations, but none were given: give resources.demonstrations."
            )
        shown = tuple(resources.demonstrations)
        demonstration_examples(codec_of(base), shown, 1)  # which refuses rows of another kind
        newest: Any = base
        rounds: list[dict[str, Any]] = []
        spent = NOTHING
        for iteration in range(self.iterations):
            rows = self._drawn(newest, shown, iteration, resources)
            pairs = [
                PreferencePair(
                    prompt=given.prompt, chosen=given.answer, rejected=row["answer"], meta=given.meta
                )
                for given, row in zip(shown, rows)
                if row["reason"] is None
            ]
            if not pairs and not rounds:
                raise InputError(
                    f"spin has no pair to learn from: the target's answers were not used ({reasons(rows)}); raise "
                    f"answer_tokens {self.answer_tokens}, or give other demonstrations."
                )
            drawn = [(row["read"], row["drawn"]) for row in rows if row.get("read")]
            drawing = Spent(flops=drawing_flops(base, drawn))
            spent += drawing
            if not pairs:
                break  # the opponent's answers are the given ones: the game is over
            part = self._part(spent, drawing, self.iterations - iteration)
            newest, training = self._trained(newest, pairs, iteration, resources, part)
            spent += Spent.of(training)
            rounds.append({"pairs": len(pairs), "not used": reasons(rows), "training": training})
        learnt = [told["training"] for told in rounds]
        costs = {
            "steps": sum(each["steps"] for each in learnt),
            **asdict(spent),
            "flops_before": spent.flops - sum(each["flops"] - each["flops_before"] for each in learnt),
        }
        if len(rounds) < self.iterations:
            costs["stopped"] = f"the opponent gave the given answers after {len(rounds)} rounds"
        provenance = {
            **newest.provenance,
            "treatment": self.settings(),
            "treatments": [*base.describe().get("treatments", []), self.settings()],
            "training": costs,
            "rounds": rounds,
        }
        treated: Target = replace(newest, name=f"{base.name} + {self.name}", provenance=provenance)
        return treated

    def _part(self, spent: Spent, drawing: Spent, rounds: int) -> ComputeBudget | None:
        """What a round's training may spend where ``rounds`` are to come, whose drawing is taken to cost as much as
        this one's."""
        if self.budget is None:
            return None
        budget = budget_of(self.budget)
        gone, each_draws = (cost.of_currency(budget.currency) for cost in (spent, drawing))
        part = round_budget(budget.amount, spent=gone, drawing=each_draws, rounds=rounds)
        if part <= 0:
            raise InputError(
                f"a budget of {budget.amount:g} {budget.currency} leaves nothing to train with: {gone:g} went before, "
                f"and drawing takes {each_draws:g} in each of {rounds - 1} further rounds; give more, or fewer rounds."
            )
        return replace(budget, amount=part)

    def _drawn(
        self, opponent: "LocalTarget", shown: Sequence[Demonstration], iteration: int, resources: Resources
    ) -> list[dict[str, Any]]:
        """A line a prompt: the opponent's answer, or why it is not used."""
        about = {
            "treatment": self.name, "version": self.version, "seed": resources.seed, "iteration": iteration,
            "opponent": opponent.fingerprint(), "answer_tokens": self.answer_tokens,
            "demonstrations": fingerprint([[as_json(given.prompt), given.answer] for given in shown]),
        }  # fmt: skip
        lines = KeptLines(Path(resources.workdir) / f"{self.name}-{fingerprint(about)[:16]}.jsonl", about)

        async def answer(prompt: Conversation, number: int) -> dict[str, Any]:
            seed = stream(resources.seed, number, iteration)
            asked = Sampling(max_tokens=self.answer_tokens, temperature=1.0, seed=seed)
            (said,) = await opponent.generate(prompt, asked)
            reason, text = usable(said), said.text.strip()
            if reason is None and text == shown[number].answer.strip():
                reason = "the given answer itself"
            return {"answer": text, "reason": reason, "read": said.prompt_tokens, "drawn": said.tokens}

        prompts = [given.prompt for given in shown]
        return wait_for(each(lines, prompts, answer, resources.progress, f"self-play {iteration + 1}"))

    def _trained(
        self,
        opponent: "LocalTarget",
        pairs: Sequence[PreferencePair],
        iteration: int,
        resources: Resources,
        budget: ComputeBudget | None,
    ) -> tuple[Target, Mapping[str, Any]]:
        """The model of this iteration, and what its training took."""
        from trueline.training.data import preference_examples

        from .copies import codec_of, fresh_model, trained_target

        config = replace(within_window(self.config(resources.seed), opponent), budget=budget)
        folder, manifest = train_copy(
            opponent,
            preference_examples(codec_of(opponent), pairs, config.max_length),
            objective=self.objective(),
            config=config,
            treatment={**self.settings(), "iteration": iteration},
            resources=resources,
            build=lambda: fresh_model(opponent),
        )
        provenance = {"treatment": self.settings(), "data": manifest["data"]}
        return trained_target(opponent, folder, method=self.name, provenance=provenance), manifest["training"]


def round_budget(amount: float, *, spent: float, drawing: float, rounds: int) -> float:
    """An equal part of what is left of ``amount`` for ``rounds`` rounds, of which the first has drawn already."""
    return (amount - spent - (rounds - 1) * drawing) / rounds
