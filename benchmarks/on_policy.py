"""Gold reward on held-out prompts before and after on-policy training, on a testbed model.

The policy learns on prompts about one half of the world's hazards, topics and views; it is judged on the other half by
the world's exact gold reward, at temperature 1, on the same prompts and random streams before and after. With
``--reward trained`` it learns from a reward model of its own size, trained on a noisy annotator's preferences. The
interval is over seeds and prompts (clustered by what is asked about); with one seed over prompts only. ``--world``
takes a world with other people, places, facts and hazards than the demonstration's, on which dials were not tuned.

    python benchmarks/on_policy.py rloo --steps 60 --learning-rate 3e-4 --seeds 2
    python benchmarks/on_policy.py ppo --steps 120 --world 9101 --seeds 2 --set '{"samples": 4, "passes": 2}'
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from trueline.catalog import make
from trueline.core.messages import Conversation, Sampling, from_json
from trueline.core.protocols import Resources, Target
from trueline.core.statistics import clustered_mean, method_estimate
from trueline.data.preferences import PreferencePair
from trueline.models.local import LocalTarget
from trueline.testbed import embedded
from trueline.testbed.annotators import Annotator, asked, preference_pairs
from trueline.testbed.build import other_world
from trueline.testbed.gold import CostOfHarm, GoldReward, gold, is_refusal
from trueline.testbed.world import World, build_world


def scores(world: World, target: Target, prompts: list[Conversation], samples: int) -> dict[str, np.ndarray]:
    """Mean gold reward, harm and needless refusal of each prompt's answers; NaN where a score does not apply."""

    async def answer() -> list[Any]:
        wanted = Sampling(max_tokens=40, temperature=1.0, samples=samples, seed=17)
        return await asyncio.gather(*(target.generate(prompt, wanted) for prompt in prompts))

    reward, cost = GoldReward(world), CostOfHarm(world)
    rows: dict[str, list[float]] = {"gold": [], "harm": [], "needless refusal": []}
    for prompt, completions in zip(prompts, asyncio.run(answer())):
        texts = [completion.text for completion in completions]
        harmful = gold(world, prompt).harmful
        rows["gold"].append(float(np.mean(reward(prompt, texts))))
        rows["harm"].append(float(np.mean(cost(prompt, texts))) if harmful else np.nan)
        refused = float(np.mean([is_refusal(text) for text in texts]))
        rows["needless refusal"].append(np.nan if harmful else refused)
    return {name: np.array(values) for name, values in rows.items()}


def interval(table: np.ndarray, clusters: list[str]) -> str:
    """The mean of [seeds, prompts] with its 95 % interval."""
    if len(table) > 1:
        found: Any = method_estimate(table, clusters)
    else:
        found = clustered_mean(table[0], clusters)
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method")
    parser.add_argument("--world", type=int, help="seed of another world; left out: the demonstration world")
    parser.add_argument("--size", default="large", choices=embedded.SIZES)
    parser.add_argument("--reward", default="given", choices=["given", "trained"])
    parser.add_argument(
        "--noise", type=float, default=0.05, help="of the annotator that the reward learns from"
    )
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--prompts", type=int, default=150)
    parser.add_argument("--set", default="{}", help="further dials of the method, as JSON")
    given = parser.parse_args()
    spec, folder = (
        (embedded.DEMO, embedded.folder(given.size))
        if given.world is None
        else other_world(given.world, given.size)
    )
    world = build_world(spec)
    base = LocalTarget.from_pretrained(str(folder), dtype="float32")
    held_out = asked(world, given.prompts, 1, spared=True)
    clusters = [gold(world, prompt).request.subject for prompt in held_out]
    before = scores(world, base, held_out, 4)
    of_reward = {"reward_learning_rate": 1e-3, "reward_epochs": 2.0} if given.reward == "trained" else {}
    dials = {
        "steps": given.steps, "learning_rate": given.learning_rate, "reward": given.reward, **of_reward,
        "max_tokens": 40, **json.loads(given.set),
    }  # fmt: skip
    after, last = [], {}
    started = time.perf_counter()
    for seed in range(given.seeds):
        rows = preference_pairs(world, 600, Annotator(noise=given.noise), seed)
        pairs = [PreferencePair(**{**row, "prompt": from_json(row["prompt"])}) for row in rows]
        with tempfile.TemporaryDirectory() as scratch:
            resources = Resources(
                workdir=Path(scratch), preferences=pairs, reward=GoldReward(world), cost=CostOfHarm(world),
                seed=seed,
            )  # fmt: skip
            treated = make("treatment", given.method, dials).apply(base, resources)
            after.append(scores(world, treated, held_out, 4))
            (manifest,) = Path(scratch).glob(f"{given.method}-*/manifest.json")
            told = json.loads(manifest.read_text())
            last = {**told["history"][-1], "flops of training": told["training"]["flops"]}
    where = "the demonstration world" if given.world is None else f"world {given.world}"
    print(f"{given.method} {dials} on {where}: {(time.perf_counter() - started) / given.seeds:.0f} s a seed")
    for name, values in before.items():
        known = ~np.isnan(values)
        named = [cluster for cluster, there in zip(clusters, known) if there]
        changes = np.stack([(later[name] - values)[known] for later in after])
        print(f"  {name}: {values[known].mean():.3f} before, change {interval(changes, named)}")
    print("  last step:", {k: round(v, 4) for k, v in last.items()})


if __name__ == "__main__":
    main()
