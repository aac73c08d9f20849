"""Over-optimisation of a reward model by on-policy training on the testbed: gold and proxy reward against √KL.

Reward models of several sizes learn one annotator's preferences at several levels of label noise
(``overoptimisation.py``, which has the same for best-of-n). A policy then learns from each of them by each method, at
no price on divergence, and every step of its history says the proxy's reward, the world's gold reward (watched, never
learnt) and the KL of the answers it drew. Gains are those over answers of the untreated model to the same prompts; ten
stretches of steps are the points, through which Gao et al.'s form for policies is fitted (arXiv 2210.10760):

    R(d) = d (α − β log d),  d = √KL;  it turns at d = exp(α/β − 1) where β > 0

Intervals resample the steps of a stretch, so they are of this run: another seed, or other pairs, differ by more.

    python benchmarks/overoptimisation_policies.py --methods rloo grpo ppo --sizes tiny large --noise 0.05 0.4
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from overoptimisation import WORLD, draws

from trueline.catalog import make
from trueline.core.messages import from_json
from trueline.core.protocols import Resources
from trueline.core.statistics.overoptimisation import Overoptimisation, fit_overoptimisation
from trueline.data.preferences import PreferencePair
from trueline.models.local import LocalTarget
from trueline.testbed import embedded
from trueline.testbed.annotators import Annotator, preference_pairs
from trueline.testbed.gold import GoldReward
from trueline.treatments.reward import trained_reward

POINTS, RESAMPLES = 10, 200
FREE = {"rloo": {"beta": 0.0}, "grpo": {"beta": 0.0}, "ppo": {"beta": 0.0, "samples": 4, "passes": 2}}
Lines = Sequence[dict[str, float]]


def points(lines: Lines, baseline: float) -> np.ndarray:
    """[stretches, 3]: √KL, gold gain, proxy reward, of stretches of consecutive steps that moved away at all."""
    table = np.array([(line["kl"], line["gold"] - baseline, line["reward"]) for line in lines])
    means = np.array([part.mean(axis=0) for part in np.array_split(table, POINTS)])
    means[:, 0] = np.sqrt(np.maximum(means[:, 0], 0))
    return means[means[:, 0] > 0]


def fitted(lines: Lines, baseline: float) -> Overoptimisation:
    """The form through the points."""
    found = points(lines, baseline)
    return fit_overoptimisation(found[:, 0], found[:, 1], "rl")


def resampled(lines: Lines, baseline: float) -> dict[str, tuple[float, float]]:
    """95 % intervals of α, β and of the gain at the end, over the steps within each stretch."""
    rng = np.random.default_rng(0)
    parts = np.array_split(np.arange(len(lines)), POINTS)
    rows = []
    for _ in range(RESAMPLES):
        chosen = [lines[i] for part in parts for i in rng.choice(part, len(part))]
        form = fitted(chosen, baseline)
        rows.append((form.alpha, form.beta, points(chosen, baseline)[-1, 1]))
    low, high = np.percentile(np.array(rows), [2.5, 97.5], axis=0)
    return {name: (float(a), float(b)) for name, a, b in zip(("alpha", "beta", "end"), low, high)}


def table(title: str, lines: Lines, baseline: float, stopped: Any) -> str:
    """The run in words and numbers."""
    form, spans = fitted(lines, baseline), resampled(lines, baseline)
    turn = "never turns" if form.turn is None else f"turns at √KL {form.turn:.2f}"
    shown = {name: f"[{low:+.3f}, {high:+.3f}]" for name, (low, high) in spans.items()}
    first, last = lines[: len(lines) // POINTS], lines[-(len(lines) // POINTS) :]
    beside = ", ".join(
        f"{name} {np.mean([line[name] for line in first]):.3g} to {np.mean([line[name] for line in last]):.3g}"
        for name in ("length", "entropy", "repetition", "refused", "truncated")
    )
    head = (
        f"\n{title}: α {form.alpha:+.3f} {shown['alpha']}, β {form.beta:+.3f} {shown['beta']}, residual "
        f"{form.residual:.3f}, {turn}; gold at the end {points(lines, baseline)[-1, 1]:+.3f} {shown['end']}"
    )
    rows = [
        f"  √KL {d:.2f}  gold {gold:+.3f}  proxy {proxy:+.2f}" for d, gold, proxy in points(lines, baseline)
    ]
    return "\n".join([head, f"  {beside}" + (f"; {stopped}" if stopped else ""), *rows])


def main() -> None:
    """A table a reward model and method."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", nargs="+", default=list(FREE), choices=list(FREE))
    parser.add_argument("--sizes", nargs="+", default=["tiny", "medium", "large"], help="of reward models")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.05, 0.25, 0.4])
    parser.add_argument("--policy", default="large", help="size of the policy")
    parser.add_argument("--labels", type=int, default=400)
    parser.add_argument(
        "--steps", type=int, default=60, help="rollouts; ppo takes as many, with two updates each"
    )
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--reward-rate", type=float, default=3e-4)
    parser.add_argument("--reward-epochs", type=float, default=3.0)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--out", type=Path, default=None, help="Where models and histories are kept.")
    options = parser.parse_args()
    policy = LocalTarget.from_pretrained(embedded.folder(options.policy), dtype="float32")
    judge = GoldReward(WORLD)
    baseline: float | None = None
    with tempfile.TemporaryDirectory() as scratch:
        for size in options.sizes:
            for noise in options.noise:
                folder = (options.out or Path(scratch)) / f"{size}-{noise:g}"
                rows = preference_pairs(WORLD, options.labels, Annotator(noise=noise), 0)
                pairs = tuple(PreferencePair(**{**row, "prompt": from_json(row["prompt"])}) for row in rows)
                prompts = list(dict.fromkeys(pair.prompt for pair in pairs))
                if baseline is None:  # the prompts are those of every level of noise
                    answers = draws(policy, prompts, 2)
                    baseline = float(np.mean([judge(prompt, said) for prompt, said in zip(prompts, answers)]))
                    print(f"{len(prompts)} prompts, untreated gold {baseline:.3f}", flush=True)
                resources = Resources(workdir=folder, preferences=pairs, reward=judge)
                judged = LocalTarget.from_pretrained(embedded.folder(size), dtype="float32")
                trained_reward(
                    judged, resources, learning_rate=options.reward_rate, epochs=options.reward_epochs
                )
                (reward,) = folder.glob("reward-*/model")
                for method in options.methods:
                    passes = FREE[method].get("passes", 1)
                    dials = {
                        "reward": str(reward), "learning_rate": options.learning_rate, "max_tokens": 40,
                        "batch_size": options.batch_size, "steps": options.steps * passes, **FREE[method],
                    }  # fmt: skip
                    make("treatment", method, dials).apply(policy, resources)
                    newest = max(
                        folder.glob(f"{method}-*/manifest.json"), key=lambda file: file.stat().st_mtime
                    )
                    told = json.loads(newest.read_text())
                    lines = told["history"][::passes]  # a rollout's updates share its figures
                    title = f"{method}, reward model {size}, label noise {noise:.0%}"
                    print(table(title, lines, baseline, told["training"].get("stopped")), flush=True)
    print(f"\nlargest √KL reached says how far a curve is known; {sqrt(2):.2f} is 2 nats")


if __name__ == "__main__":
    main()
