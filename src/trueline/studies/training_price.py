"""What training may take, arm by arm, before it is run: an estimate, made without a tokenizer or a model.

The formula is that of ``training.flops`` with words × 1.5 for tokens and attention left out. With P parameters and n
tokens (cut at ``max_length`` an example) gone through in all epochs:

    6·P·n   training (4·P·n where only adapters learn), and 2·P·n for one pass of a reference

An on-policy method goes through prompts instead: each of its answers, at full length, is drawn and read by a reference
(2·P·n each) before it is learnt from, and a reward model trained on the way costs 6·P·n of its own data. A compute
budget is taken as spent. Passes of teachers, of opponents and of given reward models come on top. Time is FLOPs at the
device's assumed speed (``pricing``).

Example: 400 pairs of 30 words and two answers of 20, 1.05 million parameters, one epoch: 42,000 tokens; DPO takes
6 · 1.05e6 · 42,000 = 265 GFLOPs and 88 for the reference, 18 s at 20 GFLOP/s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trueline.catalog import make
from trueline.core.protocols import Treatment
from trueline.training.budget import budget_of

from .pricing import ASSUMED_SPEED
from .treat import FINDERS

if TYPE_CHECKING:
    from trueline.treatments.trained import TrainedTreatment

    from .comparison.spec import ComparisonSpec
    from .plan import Plan

TOKENS_A_WORD = 1.5
TRAINS, FORWARD, ADAPTERS = 6.0, 2.0, 4.0  # FLOPs a parameter and token
ANSWERS = ("chosen", "rejected", "answer")


@dataclass(frozen=True, kw_only=True)
class TrainingPrice:
    """What the training of an arm may take. None where nobody can tell."""

    arm: str
    examples: int
    tokens: float | None = None
    flops: float | None = None
    seconds: float | None = None


def training_prices(plan: "Plan") -> list[TrainingPrice]:
    """The prices of all arms that train."""
    found: list[TrainingPrice] = []
    read: dict[tuple[Any, ...], Sequence[Any]] = {}
    for arm in plan.arms:
        treatment: Treatment = make("treatment", arm.treatment, arm.parameters)
        if not hasattr(treatment, "learning_rate") or not any(c.arm == arm for c in plan.measurable):
            continue
        subject = plan.subjects[arm.target]
        rows: list[Any] = []
        for name in getattr(treatment, "resources", ()):
            key = (arm.target, name, arm.seed)
            if name in FINDERS and key not in read:
                read[key] = FINDERS[name](plan.spec, subject, arm.seed) or ()
            rows += read.get(key, ())
        found.append(training_price(arm.label, treatment, rows, subject.target.describe()))
    return found


def training_price(
    arm: str, treatment: Treatment, rows: Sequence[Any], described: Mapping[str, Any]
) -> TrainingPrice:
    """The price of training the described model on these rows."""
    from trueline.treatments.trained import TrainedTreatment

    parameters = float(described.get("parameters") or 0)
    unknown = TrainingPrice(arm=arm, examples=len(rows))
    if not isinstance(treatment, TrainedTreatment) or not parameters:
        return unknown
    device = str(described.get("device") or "cpu").partition(":")[0]
    speed = ASSUMED_SPEED.get(device, ASSUMED_SPEED["cpu"])
    tokens, flops = _work(treatment, rows, parameters)
    ((currency, amount),) = (treatment.budget or {"": 0.0}).items()
    if currency == "seconds":
        return TrainingPrice(arm=arm, examples=len(rows), seconds=amount)
    if currency == "tokens":
        flops, tokens = flops * amount / tokens if tokens else 0.0, amount
    if currency == "flops":
        tokens, flops = tokens * amount / flops if flops else 0.0, amount
    return TrainingPrice(arm=arm, examples=len(rows), tokens=tokens, flops=flops, seconds=flops / speed)


def _work(treatment: "TrainedTreatment", rows: Sequence[Any], parameters: float) -> tuple[float, float]:
    """Tokens that are trained on, and the FLOPs of all, where no budget says."""
    from trueline.treatments.on_policy import OnPolicyTreatment

    rounds = treatment.epochs * getattr(treatment, "iterations", 1)
    if treatment.steps is not None and rows:
        rounds = treatment.steps * treatment.batch_size / len(rows)
    learns = (ADAPTERS if treatment.lora else TRAINS) * parameters
    once = sum(min(tokens_of(row), float(treatment.max_length)) for row in rows)
    reference = FORWARD * parameters if treatment.objective().reference else 0.0
    if not isinstance(treatment, OnPolicyTreatment):
        return once * rounds, once * (learns * rounds + reference)
    drawn = treatment.samples * treatment.max_tokens
    tokens = rounds * sum(TOKENS_A_WORD * _words(row.prompt) + drawn for row in rows)
    flops = tokens * (learns + 2 * FORWARD * parameters)
    if treatment.learns_reward:
        flops += TRAINS * parameters * once * (treatment.reward_epochs or 1.0)
    return tokens, flops


def tokens_of(row: Any) -> float:
    """About how many tokens a prompt with its answers has."""
    answers = [*(getattr(row, name, "") for name in ANSWERS), *getattr(row, "answers", ())]
    return TOKENS_A_WORD * (_words(row.prompt) + sum(len(answer.split()) for answer in answers))


def _words(prompt: Any) -> int:
    texts = [prompt] if isinstance(prompt, str) else [message.content for message in prompt]
    return sum(len(text.split()) for text in texts)


def budget_words(spec: "ComparisonSpec") -> str:
    """What the trained methods of a comparison may spend in all, as a sentence."""
    trained = [method for method in spec.methods if method.trained]
    trials = sum(method.trials for method in trained) * len(spec.development)
    runs = trials + sum(len(method.levels) for method in trained) * len(spec.evaluation) * len(spec.seeds)
    if not spec.compute:
        return f"Training: {runs} runs without a compute budget, whose price the worlds' data decide."
    budget = budget_of(spec.compute)
    words = f"Training: {runs} runs of up to {budget.amount:g} {budget.currency}, {runs * budget.amount:.3g} in all"
    if budget.currency == "tokens":
        return f"{words}; measuring and the worlds' own models come on top."
    seconds = runs * budget.amount / (ASSUMED_SPEED["cpu"] if budget.currency == "flops" else 1.0)
    return f"{words}: roughly {seconds / 60:.0f} min (an estimate); measuring and the worlds' own models come on top."
