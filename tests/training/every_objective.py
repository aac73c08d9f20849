"""Every objective with data for it and its loss written again, one example at a time.

A naive loss sees rows: per example the answers' log-probabilities by token (or values) under the policy and
the reference, and the example itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.functional import logsigmoid
from training_models import examples, llama, naive_logps, value_llama

from trueline.models.trees import Tree
from trueline.training.batches import Example, SeededBatches
from trueline.training.config import TrainingConfig
from trueline.training.loop import train
from trueline.training.objectives.cdpo import CDPOObjective
from trueline.training.objectives.circuit_breakers import CircuitBreakersObjective
from trueline.training.objectives.cost import CostObjective
from trueline.training.objectives.cpo import CPOObjective
from trueline.training.objectives.dpo import DPOObjective
from trueline.training.objectives.gpo import GPOObjective
from trueline.training.objectives.gradient_ascent import GradDiffObjective, GradientAscentObjective
from trueline.training.objectives.ipo import IPOObjective
from trueline.training.objectives.kto import KTOObjective
from trueline.training.objectives.npo import NPOObjective
from trueline.training.objectives.online_dpo import OnlineDPOObjective
from trueline.training.objectives.orpo import ORPOObjective
from trueline.training.objectives.pro import PROObjective
from trueline.training.objectives.reward import RewardObjective
from trueline.training.objectives.rmu import RMUObjective, control_vector
from trueline.training.objectives.robust_dpo import RobustDPOObjective
from trueline.training.objectives.rrhf import RRHFObjective
from trueline.training.objectives.rso_hinge import RSOHingeObjective
from trueline.training.objectives.sft import SFTObjective
from trueline.training.objectives.simnpo import SimNPOObjective
from trueline.training.objectives.simpo import SimPOObjective
from trueline.training.objectives.slic_hf import SLiCHFObjective
from trueline.training.objectives.spin import SPINObjective
from trueline.training.readings import REWARD
from trueline.training.reference import add_reference, with_frozen

STEP = 8
ONE_STEP = TrainingConfig(learning_rate=1e-2, warmup=0.0, batch_size=STEP, steps=3)


@dataclass(frozen=True)
class Row:
    """One example: ``new[k]`` and ``old[k]`` are [T] of answer k under the policy and the reference; ``other`` is
    its mismatched one."""

    new: list[torch.Tensor]
    old: list[torch.Tensor]
    example: Example
    other: "Row | None" = None

    def ratio(self, k, mean=False):
        """Δ of answer k."""
        difference = self.new[k] - self.old[k]
        return difference.mean() if mean else difference.sum()

    def margin(self, mean=False):
        """Δ⁺ − Δ⁻."""
        return self.ratio(0, mean) - self.ratio(1, mean)


def average(loss):
    """A naive loss that is the mean over examples."""
    return lambda rows: torch.stack([loss(row) for row in rows]).mean()


@dataclass(frozen=True)
class Case:
    """An objective, its naive loss and its data."""

    objective: Any
    naive: Callable[[list[Row]], torch.Tensor]
    branches: int = 2
    dress: Callable[[Example], Example] = lambda example: example
    arrange: Callable[[list[Example]], list[Example]] = lambda made: made

    def model(self, dtype=torch.float32, seed=0):
        return value_llama(dtype, seed) if self.on_values else llama(dtype, seed)

    @property
    def on_values(self):
        return REWARD in self.objective.reads

    def data(self, dtype=torch.float32, n=STEP):
        """Examples; where a reference is needed, of the model with seed 0."""
        made = self.arrange([self.dress(example) for example in examples(n, self.branches)])
        if (frozen := getattr(self.objective, "frozen", None)) is not None:
            return with_frozen(llama(dtype), made, *frozen, ONE_STEP)
        if not self.objective.reference:
            return made
        return add_reference(llama(dtype), made, weights="tiny", config=ONE_STEP).examples

    def batches(self, data, config=ONE_STEP):
        return SeededBatches(
            kind=self.objective.batch, examples=data, batch_size=config.batch_size, limit=config.steps
        )

    def run(self, model, data, config=ONE_STEP, **more):
        return train(model, self.batches(data, config), self.objective, config, **more)

    def naive_loss(self, model, data):
        """The loss of one step over all of ``data``, as a scalar with gradients."""
        read = naive_values if self.on_values else naive_logps
        if hasattr(self.objective, "frozen"):
            read = naive_states
        compared = self.objective.reference or hasattr(self.objective, "frozen")
        reference = llama(torch.float64) if compared else None

        def row(example):
            old = []
            if reference is not None:
                with torch.no_grad():
                    old = read(reference, example.tree)
            other = None if example.mismatched is None else row(example.mismatched)
            return Row(new=read(model, example.tree), old=old, example=example, other=other)

        return self.naive([row(example) for example in data])


def naive_values(model, tree):
    """The value at the last token of each answer, one sequence at a time."""
    out = []
    for branch in tree.branches:
        states = model.model(input_ids=torch.tensor([tree.trunk + branch])).last_hidden_state
        out.append(model.score(states[0, -1]))
    return out


def naive_states(model, tree):
    """What the first layer returns at the answer's tokens, one sequence at a time."""
    out = []
    for branch in tree.branches:
        states = model(torch.tensor([tree.trunk + branch]), output_hidden_states=True).hidden_states[1]
        out.append(states[0, len(tree.trunk) :])
    return out


def with_margin(example):
    return replace(example, facts={"margin": (0.1 * example.index,)})


def with_labels(made):
    """Every third answer is unwanted; the mismatched answer is that of the example before."""
    return [
        replace(
            example,
            facts={"wanted": (float(example.index % 3 > 0),)},
            mismatched=Example(
                tree=Tree(trunk=example.tree.trunk, branches=made[place - 1].tree.branches), index=0
            ),
        )
        for place, example in enumerate(made)
    ]


def naive_reward(row):
    return -logsigmoid(row.new[0] - row.new[1] - 0.1 * row.example.index).squeeze()


def with_ranks(example):
    """Four answers; in every second list the middle two tie."""
    ranks = (1.0, 2.0, 2.0, 4.0) if example.index % 2 else (1.0, 2.0, 3.0, 4.0)
    return replace(example, facts={"ranks": ranks, "scores": tuple(0.5 * (4 - rank) for rank in ranks)})


def of_unlike_lengths(made):
    """Every third list has lost its last answer."""
    return [
        example
        if example.index % 3
        else replace(
            example,
            tree=Tree(trunk=example.tree.trunk, branches=example.tree.branches[:3]),
            facts={name: values[:3] for name, values in example.facts.items()},
        )
        for example in made
    ]


def naive_rrhf(row):
    means, ranks = [logps.mean() for logps in row.new], row.example.facts["ranks"]
    order = [
        torch.relu(means[j] - means[k])
        for k in range(len(means))
        for j in range(len(means))
        if ranks[j] > ranks[k]
    ]
    return 2.0 * torch.stack(order).sum() - row.new[0].sum()


def naive_pro(row, scored=False):
    means, facts = [logps.mean() for logps in row.new], row.example.facts
    loss = -0.1 * (len(means) - 1) ** 2 * row.new[0].sum()
    for k, rank in enumerate(facts["ranks"]):
        below = [j for j, other in enumerate(facts["ranks"]) if other > rank]
        if not below:
            continue
        gaps = {j: facts["scores"][k] - facts["scores"][j] if scored else 1.0 for j in below}
        own = torch.exp(means[k] * max(gaps.values()))
        loss = loss - torch.log(own / (own + sum(torch.exp(means[j] * gaps[j]) for j in below)))
    return loss


def with_safety(example):
    """The answers are both safe, both unsafe, or the rejected one alone is unsafe."""
    unsafe = {0: (-1.0, -1.0), 1: (1.0, 1.0), 2: (-1.0, 1.0)}[example.index % 3]
    return replace(example, facts={"unsafe": unsafe, "less_safe": ((unsafe[1] - unsafe[0]) / 2,)})


def naive_cost(row):
    chosen, rejected = (value.squeeze() for value in row.new)
    s, t = row.example.facts["unsafe"]
    order = -logsigmoid(rejected - chosen) if t > s else 0.0
    return order - logsigmoid(s * chosen) - logsigmoid(t * rejected)


def by_turns(example):
    """Every second text is to be forgotten."""
    return replace(example, facts={"wanted": (float(example.index % 2),)})


def naive_unlearning(forget, weight):
    """``forget`` of the rows to forget, and ``weight`` times −ℓ per retained token."""

    def loss(rows):
        halves = [[row for row in rows if row.example.facts["wanted"][0] == kind] for kind in (0.0, 1.0)]
        return forget(halves[0]) - weight * torch.cat([row.new[0] for row in halves[1]]).mean()

    return loss


def naive_rmu(rows):
    """Equation by equation, with c = 3 and α = 2."""
    away = 3.0 * control_vector(32)
    forget = [((s - away) ** 2).mean() for row in rows[::2] for s in row.new[0]]
    retain = [((s - t) ** 2).mean() for row in rows[1::2] for s, t in zip(row.new[0], row.old[0])]
    return torch.stack(forget).mean() + 2.0 * torch.stack(retain).mean()


def naive_circuit_breakers(rows):
    """Algorithm 1 at t = T, with w = 0.5."""
    broken = [s @ t / (s.norm() * t.norm()) for row in rows[::2] for s, t in zip(row.new[0], row.old[0])]
    moved = [(s - t).norm() for row in rows[1::2] for s, t in zip(row.new[0], row.old[0])]
    return 0.5 * torch.relu(torch.stack(broken)).mean() + 0.25 * torch.stack(moved).mean()


def naive_ascent(rows):
    return torch.cat([row.new[0] for row in rows]).mean()


def naive_npo(row):
    return 2 / 0.3 * torch.log(1 + torch.exp(row.ratio(0)) ** 0.3)


def naive_simnpo(row):
    return -2 / 1.5 * logsigmoid(-1.5 * row.new[0].mean() - 0.1)


def naive_robust(row):
    clean, flipped = -logsigmoid(0.3 * row.margin()), -logsigmoid(-0.3 * row.margin())
    return (0.8 * clean - 0.2 * flipped) / 0.6


def naive_kto(rows):
    baseline = torch.stack([row.other.ratio(0) for row in rows]).mean().clamp(min=0).detach()
    losses = []
    for row in rows:
        if row.example.facts["wanted"] == (1.0,):
            losses.append(1.2 * (1 - torch.sigmoid(0.3 * (row.ratio(0) - baseline))))
        else:
            losses.append(0.9 * (1 - torch.sigmoid(0.3 * (baseline - row.ratio(0)))))
    return torch.stack(losses).mean()


def naive_orpo(row):
    a, b = (logps.mean() for logps in row.new[:2])
    odds = [torch.exp(x) / (1 - torch.exp(x)) for x in (a, b)]
    return -a - 0.5 * logsigmoid(torch.log(odds[0] / odds[1]))


def naive_cpo_mean(rows):
    compared = [logsigmoid(0.3 * (row.new[0].sum() - row.new[1].sum())) for row in rows]
    return -torch.stack(compared).mean() - torch.cat([row.new[0] for row in rows]).mean()


def naive_cpo(row):
    chosen, rejected = row.new[0].sum(), row.new[1].sum()
    return -logsigmoid(0.3 * (chosen - rejected)) - chosen


def naive_slic(row):
    chosen, rejected = row.new[0].sum(), row.new[1].sum()
    return torch.relu(3.0 - chosen + rejected) - 0.2 * chosen


CASES = {
    "simpo": Case(
        SimPOObjective(beta=2.0, gamma=0.7),
        average(lambda row: -logsigmoid(2 * row.new[0].mean() - 2 * row.new[1].mean() - 0.7)),
    ),
    "cpo": Case(CPOObjective(beta=0.3), average(naive_cpo)),
    "cpo, mean": Case(CPOObjective(beta=0.3, nll="mean"), naive_cpo_mean),
    "orpo": Case(ORPOObjective(weight=0.5), average(naive_orpo)),
    "slic_hf": Case(SLiCHFObjective(delta=3.0, sft_weight=0.2), average(naive_slic)),
    "rmu": Case(
        RMUObjective(layer=0, steering=3.0, retain_weight=2.0), naive_rmu, branches=1, dress=by_turns
    ),
    "circuit_breakers": Case(
        CircuitBreakersObjective(layers=(0,), retain_weight=0.5),
        naive_circuit_breakers,
        branches=1,
        dress=by_turns,
    ),
    "gradient_ascent": Case(
        GradientAscentObjective(), naive_unlearning(naive_ascent, 0.0), branches=1, dress=by_turns
    ),
    "graddiff": Case(
        GradDiffObjective(retain_weight=2.0), naive_unlearning(naive_ascent, 2.0), branches=1, dress=by_turns
    ),
    "npo": Case(
        NPOObjective(beta=0.3, retain_weight=0.5),
        naive_unlearning(average(naive_npo), 0.5),
        branches=1,
        dress=by_turns,
    ),
    "simnpo": Case(
        SimNPOObjective(beta=1.5, gamma=0.1),
        naive_unlearning(average(naive_simnpo), 1.0),
        branches=1,
        dress=by_turns,
    ),
    "sft": Case(SFTObjective(), lambda rows: -torch.cat([row.new[0] for row in rows]).mean(), branches=1),
    "reward": Case(RewardObjective(), average(naive_reward), dress=with_margin),
    "rrhf": Case(
        RRHFObjective(rank_weight=2.0),
        average(naive_rrhf),
        branches=4,
        dress=with_ranks,
        arrange=of_unlike_lengths,
    ),
    "pro": Case(
        PROObjective(sft_weight=0.1),
        average(naive_pro),
        branches=4,
        dress=with_ranks,
        arrange=of_unlike_lengths,
    ),
    "pro, with scores": Case(
        PROObjective(sft_weight=0.1, use_scores=True),
        average(lambda row: naive_pro(row, scored=True)),
        branches=4,
        dress=with_ranks,
    ),
    "cost": Case(CostObjective(), average(naive_cost), dress=with_safety),
    "dpo": Case(DPOObjective(beta=0.3), average(lambda row: -logsigmoid(0.3 * row.margin()))),
    "online_dpo": Case(OnlineDPOObjective(beta=0.3), average(lambda row: -logsigmoid(0.3 * row.margin()))),
    "spin": Case(SPINObjective(beta=0.3), average(lambda row: -logsigmoid(0.3 * row.margin()))),
    "cdpo": Case(
        CDPOObjective(beta=0.3, label_smoothing=0.2),
        average(lambda row: -0.8 * logsigmoid(0.3 * row.margin()) - 0.2 * logsigmoid(-0.3 * row.margin())),
    ),
    "robust_dpo": Case(RobustDPOObjective(beta=0.3, flip_share=0.2), average(naive_robust)),
    "ipo": Case(IPOObjective(tau=0.4), average(lambda row: (row.margin(mean=True) - 1.25) ** 2)),
    "ipo, summed": Case(
        IPOObjective(tau=0.4, reduction="sum"), average(lambda row: (row.margin() - 1.25) ** 2)
    ),
    "rso_hinge": Case(RSOHingeObjective(beta=0.1), average(lambda row: torch.relu(1 - 0.1 * row.margin()))),
    "gpo, exponential": Case(
        GPOObjective(beta=0.1, function="exponential"), average(lambda row: torch.exp(-0.1 * row.margin()))
    ),
    "gpo, truncated quadratic": Case(
        GPOObjective(beta=0.5, function="truncated_quadratic", reduction="mean"),
        average(lambda row: torch.relu(1 - 0.5 * row.margin(mean=True)) ** 2),
    ),
    "kto": Case(
        KTOObjective(beta=0.3, desirable_weight=1.2, undesirable_weight=0.9),
        naive_kto,
        branches=1,
        arrange=with_labels,
    ),
}
