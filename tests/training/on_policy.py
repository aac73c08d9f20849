"""On-policy methods with a toy reward, and their losses written again one answer at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from chat_codec import codec
from torch import nn
from training_models import llama, naive_logps

from trueline.core.messages import chat
from trueline.training.advantages.grpo import GroupRelative
from trueline.training.advantages.online_dpo import OwnPairs
from trueline.training.advantages.ppo import RETURNS, VALUES, GeneralizedAdvantages
from trueline.training.advantages.raft import BestAnswer
from trueline.training.advantages.reinforce_plus_plus import NormalisedReturns
from trueline.training.advantages.remax import AboveGreedy
from trueline.training.advantages.rloo import LeaveOneOut
from trueline.training.config import TrainingConfig
from trueline.training.groups import ADVANTAGES, OLD, RolloutConfig
from trueline.training.loop import train
from trueline.training.objectives.online_dpo import OnlineDPOObjective
from trueline.training.objectives.policy_gradient import PolicyGradientObjective
from trueline.training.objectives.ppo import PPOObjective
from trueline.training.objectives.token_policy import TokenPolicyObjective
from trueline.training.rollouts import Rollouts

CONFIG = TrainingConfig(learning_rate=3e-3, warmup=0.0, schedule="constant", batch_size=4, steps=3)
PROMPTS = [chat(f"w{i} w{i + 1}") for i in range(10)]


class LikesEarlyWords:
    """A reward that falls with the number of the words said; what it was asked is kept."""

    def __init__(self):
        self.asked = []

    def fingerprint(self):
        return "likes early words"

    def __call__(self, prompt, answers):
        self.asked.append((prompt, tuple(answers)))
        return [self.of(answer) for answer in answers]

    @staticmethod
    def of(answer):
        numbers = [int(word[1:]) for word in answer.split() if word[1:].isdigit()]
        return 1 - sum(numbers) / (35 * len(numbers)) if numbers else 0.0


@dataclass(frozen=True)
class Case:
    """A method with its objective; ``naive`` is the loss of an answer from its own and its old log-probabilities."""

    method: Any
    objective: Any
    naive: Callable[..., torch.Tensor]
    rollout: RolloutConfig = field(default_factory=lambda: RolloutConfig(samples=3, max_tokens=6))
    critic: bool = False

    def model(self, dtype=torch.float32, seed=0):
        model = llama(dtype, seed).requires_grad_(True)
        if self.critic:
            torch.manual_seed(seed)
            model.value_head = nn.Linear(32, 1, dtype=dtype)
        return model

    def batches(self, config=CONFIG, rollout=None, reward=None, **more):
        return Rollouts(
            prompts=PROMPTS,
            speech=codec(),
            reward=reward or LikesEarlyWords(),
            method=self.method,
            config=rollout or self.rollout,
            batch_size=config.batch_size,
            max_length=64,
            limit=config.steps,
            seed=config.seed,
            **more,
        )

    def run(self, model, config=CONFIG, batches=None, **more):
        return train(model, batches or self.batches(config), self.objective, config, **more)

    def naive_loss(self, model, examples):
        """The loss of a step over examples, as a scalar with gradients."""
        rows = []
        for example in examples:
            for k, logps in enumerate(naive_logps(model, example.tree)):
                rows.append((logps, example.given[OLD][k].double(), example, k))
        return self.naive(rows, model)


def naive_clip(ratio, advantage, epsilon=0.2):
    return torch.minimum(ratio * advantage, ratio.clamp(1 - epsilon, 1 + epsilon) * advantage)


def naive_answers(rows, model):
    gains = [
        naive_clip((new.sum() - old.sum()).exp(), example.facts["advantages"][k])
        for new, old, example, k in rows
    ]
    return -torch.stack(gains).mean()


def of_token(example, k, t):
    """The advantage of token t of answer k."""
    given = example.given.get(ADVANTAGES)
    return example.facts[ADVANTAGES][k] if given is None else given[k][t].double()


def naive_tokens(norm, max_tokens=6, beta=0.0, kl="k2"):
    """Token by token, with the weights written out."""

    def loss(rows, model):
        answers, tokens = len(rows), sum(len(new) for new, *_ in rows)
        total = 0.0
        for new, old, example, k in rows:
            weight = {
                "sequence": 1 / (answers * len(new)), "token": 1 / tokens, "constant": 1 / (answers * max_tokens)
            }[norm]  # fmt: skip
            for t in range(len(new)):
                gain = naive_clip((new[t] - old[t]).exp(), of_token(example, k, t))
                gap = example.reference[k][t].double() - new[t]
                price = gap**2 / 2 if kl == "k2" else gap.exp() - gap - 1
                total = total - weight * (gain - beta * price)
        return total

    return loss


def naive_ppo(rows, model):
    """Token by token: the clipped gain, and the larger of the critic's two squared errors."""
    total, tokens = 0.0, sum(len(new) for new, *_ in rows)
    for new, old, example, k in rows:
        trunk = example.tree.trunk
        ids = torch.tensor([trunk + example.tree.branches[k]])
        states = model.model(input_ids=ids).last_hidden_state[0]
        for t in range(len(new)):
            value = model.value_head(states[len(trunk) - 1 + t])[0]
            before, wanted = (example.given[name][k][t].double() for name in (VALUES, RETURNS))
            held = before + (value - before).clamp(-0.1, 0.1)
            error = torch.maximum((value - wanted) ** 2, (held - wanted) ** 2)
            gain = naive_clip((new[t] - old[t]).exp(), of_token(example, k, t))
            total = total - gain / tokens + 0.3 * error / 2 / tokens
    return total


def naive_pairs(rows, model):
    """DPO on (best, worst), whose rows follow each other."""
    losses = []
    for (best, _, example, _), (worst, *_) in zip(rows[::2], rows[1::2]):
        old = [logps.double().sum() for logps in example.reference]
        margin = (best.sum() - old[0]) - (worst.sum() - old[1])
        losses.append(-torch.nn.functional.logsigmoid(0.3 * margin))
    return torch.stack(losses).mean()


CASES = {
    "rloo": Case(LeaveOneOut(beta=0.05), PolicyGradientObjective(name="rloo"), naive_answers),
    "remax": Case(AboveGreedy(beta=0.05), PolicyGradientObjective(name="remax"), naive_answers),
    "grpo": Case(GroupRelative(), TokenPolicyObjective(name="grpo"), naive_tokens("sequence")),
    "grpo, token": Case(
        GroupRelative(scale="batch"),
        TokenPolicyObjective(name="grpo", loss_norm="token"),
        naive_tokens("token"),
    ),
    "dr_grpo": Case(
        GroupRelative(scale="none"),
        TokenPolicyObjective(name="grpo", loss_norm="constant", max_tokens=6),
        naive_tokens("constant"),
    ),
    "grpo, k2": Case(
        GroupRelative(),
        TokenPolicyObjective(name="grpo", beta=0.1),
        naive_tokens("sequence", beta=0.1),
    ),
    "grpo, k3": Case(
        GroupRelative(),
        TokenPolicyObjective(name="grpo", beta=0.1, kl="k3"),
        naive_tokens("sequence", beta=0.1, kl="k3"),
    ),
    "ppo": Case(
        GeneralizedAdvantages(beta=0.05),
        PPOObjective(value_epsilon=0.1, value_weight=0.3),
        naive_ppo,
        rollout=RolloutConfig(samples=2, max_tokens=6, minibatches=2, passes=2),
        critic=True,
    ),
    "raft": Case(BestAnswer(), TokenPolicyObjective(name="raft", loss_norm="token"), naive_tokens("token")),
    "online_dpo": Case(OwnPairs(), OnlineDPOObjective(beta=0.3), naive_pairs),
    "reinforce_plus_plus": Case(
        NormalisedReturns(),
        TokenPolicyObjective(name="reinforce_plus_plus", loss_norm="token"),
        naive_tokens("token"),
    ),
}
