"""On-policy batches: the policy answers prompts, a reward scores the answers, a method makes examples of them.

A step's prompts, their order and the random stream of every answer are functions of (seed, rollout, place), and
the weights are those of the module being trained, so a killed run continues on the same trajectory. Answers are
trained on as the tokens that were drawn, never tokenised again. One example holds a prompt with all its answers:
one row where branches are exact.

Legend: N prompts, K answers a prompt, T tokens of an answer.
"""

import copy
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Conversation, as_json
from trueline.core.protocols import RewardModel
from trueline.models.sampling.jobs import Draw, Job
from trueline.models.trees import Tree

from .batches import BatchKind, Example
from .codec import Speech
from .flops import forward_flops, model_size
from .generating import Generator, ModuleGenerator, draw_job
from .groups import Greedy, Group, Method, RolloutConfig
from .lagrangian import COST, MULTIPLIER, Lagrangian, combined
from .readings import LOGPS, TOKEN_VALUES, Reading
from .reward_model import TrainedReward
from .scoring import Forward, look_at
from .watching import figures, scores_of


@dataclass(kw_only=True, eq=False)
class Rollouts:
    """Prompts in a seeded order, answered by the policy as it stands.

    ``batch_size`` prompts make an optimiser step; ``limit`` counts those steps and overrides ``epochs``.
    ``watch`` names further scores of the answers to be kept in the history (gold reward, refusals ...). Under a
    ``constraint`` the method learns from the reward less the cost's share.
    """

    prompts: Sequence[Conversation]
    speech: Speech
    reward: RewardModel
    method: Method
    config: RolloutConfig
    batch_size: int
    max_length: int
    epochs: float = 1.0
    limit: int | None = None
    seed: int = 0
    watch: Mapping[str, RewardModel] = field(default_factory=dict)
    constraint: Lagrangian | None = None
    generator: Generator = field(default_factory=ModuleGenerator)

    def __post_init__(self) -> None:
        if self.config.samples < self.method.samples:
            raise InputError(
                f"{self.method.name} compares answers to one prompt, so it needs at least "
                f"{self.method.samples} samples, but {self.config.samples} were asked for."
            )
        starts = [(prompt, self.speech.start(prompt)) for prompt in self.prompts]
        self._starts = [(p, s) for p, s in starts if len(s) < self.max_length]
        if not self._starts:
            raise InputError(
                f"{self.method.name} has nothing to answer: all {len(self.prompts)} prompts fill max_length "
                f"{self.max_length}; raise it, or give prompts."
            )
        self._made: tuple[int, list[Example], dict[str, float]] | None = None
        self._flops = 0.0
        self._stopped: str | None = None
        self._history: Sequence[Mapping[str, float]] = ()

    @property
    def kind(self) -> BatchKind:
        """What the method makes."""
        return self.method.kind

    @property
    def per_rollout(self) -> int:
        """Prompts of a rollout."""
        return self.batch_size * self.config.minibatches

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        if self.limit is not None:
            return self.limit
        rollouts = max(1, round(self.epochs * len(self._starts) / self.per_rollout))
        return rollouts * self.config.updates

    @property
    def too_long(self) -> int:
        """Prompts left out because no answer fits behind them."""
        return len(self.prompts) - len(self._starts)

    @property
    def stopped(self) -> str | None:
        """Why training is to end early."""
        return self._stopped

    def fingerprint(self) -> str:
        """A digest of prompts, reward, method, dials and seed."""
        return fingerprint(
            {
                "prompts": prompts_digest(self.prompts),
                "reward": self.reward.fingerprint(),
                "method": [self.method.name, self.method],
                "config": self.config,
                "batch_size": self.batch_size,
                "max_length": self.max_length,
                "steps": self.steps,
                "seed": self.seed,
                "watch": {name: score.fingerprint() for name, score in self.watch.items()},
                "constraint": None if self.constraint is None else self.constraint.settings(),
                "generator": self.generator.fingerprint(),
            }
        )

    def begin(self, model: Any, forward: Forward, accelerator: Any) -> None:
        """Keep the starting model as the reference: adapters are switched off, other weights are copied."""
        self._model, self._forward, self._accelerator = model, forward, accelerator
        look_at(model, (LOGPS, *self.method.reads))
        if hasattr(model, "disable_adapter"):
            self._reference, self._without_adapters = model, model.disable_adapter
        else:
            self._reference = copy.deepcopy(model).requires_grad_(False).eval()
            self._without_adapters = nullcontext
        self._size = model_size(model)
        self.generator.begin(model, self.speech, forward)

    def whole(self, step: int) -> bool:
        """Between rollouts: one that is half used was drawn by weights that are gone."""
        return step % self.config.updates == 0

    def follow(self, history: Sequence[Mapping[str, float]]) -> None:
        """Remember it, and stop where the last rollout has spent the KL budget."""
        self._history = history
        budget = self.config.kl_budget
        if budget is not None and history and history[-1]["kl"] > budget:
            self._stopped = f"KL {history[-1]['kl']:.3g} nats exceeded the budget of {budget:g}"

    def metrics(self) -> Mapping[str, float]:
        """What the last rollout looked like."""
        assert self._made is not None
        return self._made[2]

    def flops(self) -> float:
        """What drawing and scoring the last rollout took; its later updates took none."""
        spent, self._flops = self._flops, 0.0
        return spent

    def batch(self, step: int) -> Sequence[Example]:
        """The examples of a step: a rollout is drawn at its first update, and kept for the others."""
        number, update = divmod(step, self.config.updates)
        if self._made is None or self._made[0] != number:
            self._multiplier = 0.0 if self.constraint is None else self.constraint.multiplier(self._history)
            groups = self._roll_out(number)
            self._made = (number, self.method.examples(groups), self._line(groups))
        examples = self._made[1]
        through, minibatch = divmod(update, self.config.minibatches)
        if self.config.updates == 1:
            return examples
        order = np.random.default_rng([self.seed, number, through]).permutation(len(examples))
        return [examples[i] for i in order[minibatch :: self.config.minibatches]]

    def _roll_out(self, number: int) -> list[Group]:
        """The groups of a rollout, each process drawing its part of them."""
        self.generator.sync_weights()
        order = prompts_of_rollout(number, self.per_rollout, total=len(self._starts), seed=self.seed)
        places = list(enumerate(order))
        mine = places[self._accelerator.process_index :: self._accelerator.num_processes]
        jobs = [self._job(number, i, place, self.config.samples) for i, place in mine]
        greedy = [self._job(number, i, place, 0) for i, place in mine] if self.method.greedy else []
        draws = self.generator.draw([*jobs, *greedy])
        drawn = [
            self._group(place, draws[n], draws[len(jobs) + n] if greedy else None)
            for n, (_, place) in enumerate(mine)
        ]
        groups = self._read(drawn)
        if self._accelerator.num_processes > 1:
            from accelerate.utils import gather_object

            numbered = [(i, group) for (i, _), group in zip(mine, groups)]
            groups = [group for _, group in sorted(gather_object(numbered), key=lambda pair: pair[0])]
        return groups

    def _job(self, number: int, i: int, place: int, samples: int) -> Job:
        """A request for ``samples`` answers, or the greedy one (0)."""
        prompt, start = self._starts[place]
        return draw_job(
            start,
            seed=int(fingerprint([self.seed, number, i])[:12], 16),
            samples=samples,
            max_tokens=min(self.config.max_tokens, self.max_length - len(start)),
            stops=self.speech.stops,
            key=prompt,
        )

    def _group(self, place: int, draws: Sequence[Draw], greedy: Sequence[Draw] | None) -> Group:
        prompt, start = self._starts[place]
        texts = tuple(self.speech.said(prompt, start, draw.tokens) for draw in draws)
        best = () if greedy is None else greedy[0].tokens
        asked = texts if greedy is None else (*texts, self.speech.said(prompt, start, best))
        rewards = scores_of(self.reward, prompt, asked)
        watched = {name: scores_of(score, prompt, texts) for name, score in self.watch.items()}
        if self.constraint is not None:
            costs = scores_of(self.constraint.cost, prompt, asked)
            # the figure "reward" is the reward alone; what the method sees has the cost in it
            watched |= {"reward": rewards[: len(texts)], COST: costs[: len(texts)]}
            rewards = combined(rewards, costs, self._multiplier)
        return Group(
            index=place,
            prompt=prompt,
            tree=Tree(trunk=start, branches=tuple(draw.tokens for draw in draws)),
            texts=texts,
            finished=tuple(draw.finish == "stop" for draw in draws),
            rewards=rewards[: len(texts)],
            old=tuple(torch.tensor(draw.logprobs) for draw in draws),
            greedy=None if greedy is None else Greedy(tokens=best, text=asked[-1], reward=rewards[-1]),
            watched=watched,
        )

    def _read(self, groups: list[Group]) -> list[Group]:
        """The groups with the reference's log-probabilities; with the policy's own in place of the sampler's
        where those are not the trainer's; and with what the method reads besides."""
        examples = [Example(tree=group.tree, index=group.index) for group in groups]
        with self._without_adapters():
            reference = self._forward.fixed(self._reference, examples, (LOGPS,))[LOGPS.name]
        groups = [replace(group, reference=tuple(rows)) for group, rows in zip(groups, reference)]
        again = self._again
        if not again:
            return groups
        found = self._forward.fixed(self._model, examples, again)
        if LOGPS in again:
            news = [tuple(rows) for rows in found[LOGPS.name]]
            groups = [replace(g, old=new, mismatch=_gap(g.old, new)) for g, new in zip(groups, news)]
        if TOKEN_VALUES in again:
            groups = [replace(g, values=tuple(rows)) for g, rows in zip(groups, found[TOKEN_VALUES.name])]
        return groups

    @property
    def _judges(self) -> list[TrainedReward]:
        """Networks that score the answers; what is only watched is measuring, not training."""
        judges = [self.reward, None if self.constraint is None else self.constraint.cost]
        return [judge for judge in judges if isinstance(judge, TrainedReward)]

    @property
    def _again(self) -> tuple[Reading, ...]:
        """What a second pass of the policy over its answers must read; later updates compare with the log-
        probabilities of the trainer, not of the sampler."""
        recompute = self.config.updates > 1 or not self.generator.exact
        return (LOGPS, *self.method.reads) if recompute else tuple(self.method.reads)

    def _line(self, groups: Sequence[Group]) -> dict[str, float]:
        """The rollout's figures, and what it took."""
        passes = 1 + bool(self._again)  # the reference, and a second pass
        self._flops = passes * forward_flops(self._size, [group.tree for group in groups])
        self._flops += forward_flops(self._size, [group.drawn for group in groups])
        self._flops += sum(model.flops(g.prompt, g.judged) for model in self._judges for g in groups)
        line = figures(groups)
        return line if self.constraint is None else {**line, MULTIPLIER: self._multiplier}


def prompts_of_rollout(number: int, size: int, *, total: int, seed: int) -> list[int]:
    """Which of ``total`` prompts the rollout ``number`` of ``size`` prompts has: a seeded order, newly permuted every
    epoch, without a break between. Rewards of two rollouts differ by their prompts, too."""
    wanted = range(number * size, (number + 1) * size)
    orders = {
        epoch: np.random.default_rng([seed, epoch]).permutation(total)
        for epoch in {place // total for place in wanted}
    }
    return [int(orders[place // total][place % total]) for place in wanted]


def _gap(old: Sequence[Tensor], new: Sequence[Tensor]) -> float:
    """Σ |difference| of log-probabilities over the tokens of some answers."""
    return float(sum((a - b).abs().sum() for a, b in zip(old, new)))


def prompts_digest(prompts: Sequence[Conversation]) -> str:
    """A digest of the prompts in their order."""
    return fingerprint([as_json(prompt) for prompt in prompts])
