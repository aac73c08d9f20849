"""Over-optimisation of a reward model by on-policy training on the testbed: gold and proxy reward against √KL.

Reward models of several sizes learn one annotator's preferences at several levels of label noise
(``overoptimisation.py``, which has the same for best-of-n). A policy then learns from each of them by each method, at
no price on divergence, and every rollout says the proxy's reward, the world's gold reward (watched, never learnt) and
the KL of the answers that it drew, on the prompts of training. Gains are those over answers of the untreated model to
the same prompts, rollout by rollout. ``overoptimisation_report.py`` fits and draws what is kept here.

    python benchmarks/overoptimisation_policies.py --out runs/overoptimisation --methods rloo grpo ppo --seeds 0 1
"""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from overoptimisation_cells import (
    ANSWER_TOKENS,
    UNTREATED,
    WORLD,
    Cells,
    accuracy,
    draws,
    learnt,
    pairs,
    rewards,
)

from trueline.catalog import make
from trueline.core.protocols import Resources
from trueline.data.preferences import PreferencePair
from trueline.models.local import LocalTarget
from trueline.testbed import embedded
from trueline.testbed.gold import GoldReward
from trueline.training.reward_model import TrainedReward
from trueline.training.rollouts import prompts_of_rollout

# No price on divergence; raft's only hold is the likelihood of its own best answers, online_dpo's its smallest β.
FREE: dict[str, dict[str, Any]] = {
    **{name: {"beta": 0.0, "samples": 4} for name in ("rloo", "grpo", "reinforce_plus_plus", "remax")},
    "ppo": {"beta": 0.0, "samples": 4, "passes": 2},
    "raft": {"samples": 4},
    "online_dpo": {"beta": 0.05, "samples": 4},
}
UNTREATED_ANSWERS = 8
KEPT = ("kl", "gold", "reward", "length", "entropy", "repetition", "refused", "truncated")


def run(
    policy: LocalTarget,
    method: str,
    reward: Path,
    said: Sequence[PreferencePair],
    folder: Path,
    options: Any,
    seed: int,
) -> list[dict[str, float]]:
    """A line a rollout."""
    passes = FREE[method].get("passes", 1)
    dials = {
        "reward": str(reward), "learning_rate": options.learning_rate, "max_tokens": ANSWER_TOKENS,
        "batch_size": options.batch_size, "steps": options.steps * passes, **FREE[method],
    }  # fmt: skip
    resources = Resources(workdir=folder, preferences=said, reward=GoldReward(WORLD), seed=seed)
    make("treatment", method, dials).apply(policy, resources)
    newest = max(folder.glob(f"{method}-*/manifest.json"), key=lambda file: file.stat().st_mtime)
    history = json.loads(newest.read_text())["history"][::passes]  # a rollout's updates share its figures
    shutil.rmtree(newest.parent)
    return [{name: round(line[name], 6) for name in KEPT} for line in history]


def scale(policy: LocalTarget, reward: TrainedReward, said: Sequence[PreferencePair]) -> dict[str, float]:
    """Gold and proxy of the untreated model on the prompts of training."""
    prompts = list(dict.fromkeys(pair.prompt for pair in said))
    answers = draws(policy, prompts, 2)
    proxy = rewards(reward, prompts, answers)
    return {
        "prompts": len(prompts), "before": float(rewards(GoldReward(WORLD), prompts, answers).mean()),
        "proxy_mean": float(proxy.mean()), "proxy_sd": float(proxy.std()), "accuracy": accuracy(reward),
    }  # fmt: skip


def untreated(
    policy: LocalTarget, reward: TrainedReward, said: Sequence[PreferencePair], options: Any, seed: int
) -> dict[str, list[float]]:
    """Gold and proxy of the untreated model on the prompts of each rollout: rollouts differ by their prompts too, and
    all methods of a seed have the same."""
    prompts = list(dict.fromkeys(pair.prompt for pair in said))
    answers = draws(policy, prompts, UNTREATED_ANSWERS)
    scores = {"gold": GoldReward(WORLD), "proxy": reward}
    means = {name: rewards(score, prompts, answers).mean(axis=1) for name, score in scores.items()}
    places = [
        prompts_of_rollout(number, options.batch_size, total=len(prompts), seed=seed)
        for number in range(options.steps)
    ]
    return {name: [round(float(mean[some].mean()), 6) for some in places] for name, mean in means.items()}


def told(cell: dict[str, Any]) -> str:
    """A finished cell's end in a line."""
    last = {
        name: np.mean([line[name] for line in cell["rollouts"][-4:]]) for name in ("kl", "gold", "reward")
    }
    proxy = (last["reward"] - cell["proxy_mean"]) / cell["proxy_sd"]
    return (
        f"{cell['kind']}, {cell['size']}, noise {cell['noise']:.0%}, seed {cell['seed']}: √KL "
        f"{max(0, last['kl']) ** 0.5:.2f}, gold {last['gold'] - cell['before']:+.3f}, proxy {proxy:+.2f} sd; "
        f"{cell['cpu_seconds']} CPU s"
    )


def main() -> None:
    """A cell a reward model and method."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="where reward models and cells are kept")
    parser.add_argument("--methods", nargs="+", default=list(FREE), choices=list(FREE))
    parser.add_argument("--sizes", nargs="+", default=["tiny", "small", "large"], help="of reward models")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.05, 0.4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--policy", default="large", help="size of the policy")
    parser.add_argument("--labels", type=int, default=400)
    parser.add_argument(
        "--steps", type=int, default=40, help="rollouts; ppo takes as many, with two updates each"
    )
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--rate", type=float, default=3e-4, help="of the reward model")
    parser.add_argument("--epochs", type=float, default=3.0, help="of the reward model")
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()
    cells = Cells(options.out)
    policy = LocalTarget.from_pretrained(embedded.folder(options.policy), dtype="float32")
    dials = ("policy", "labels", "steps", "learning_rate", "rate", "epochs", "batch_size")
    shared = {name: getattr(options, name) for name in dials}
    for seed in options.seeds:
        for size in options.sizes:
            for noise in options.noise:
                asked = [
                    {**shared, "kind": kind, "size": size, "noise": noise, "seed": seed}
                    for kind in (UNTREATED, *options.methods)
                ]
                left = [about for about in asked if not cells.has(about)]
                if not left:
                    continue
                said = pairs(noise, options.labels, seed)
                folder = options.out / f"{size}-{noise:g}-{seed}"
                model, reward = learnt(folder, size, said, seed, rate=options.rate, epochs=options.epochs)
                before = scale(policy, reward, said)
                for about in left:
                    if about["kind"] == UNTREATED:
                        cells.add({**about, **untreated(policy, reward, said, options, seed)})
                        continue
                    started = time.process_time()
                    lines = run(policy, about["kind"], model, said, folder, options, seed)
                    spent = round(time.process_time() - started, 1)
                    cells.add({**about, **before, "cpu_seconds": spent, "rollouts": lines})
                    print(told(cells.found[-1]), flush=True)


if __name__ == "__main__":
    main()
