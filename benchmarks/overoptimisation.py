"""Over-optimisation of a reward model by best-of-n on the testbed: gold and proxy reward against √KL (2210.10760).

Reward models of several sizes learn one annotator's preferences at several levels of label noise. N answers to each
held-out prompt are drawn once from the base model; the expected gold and proxy reward of the best of n by the proxy
are exact over all n-subsets of them:

    P(the i-th of N by proxy is the best of n) = C(i − 1, n − 1) / C(N, n),  i counted from the lowest.

The KL is the upper bound log n − (n − 1)/n. The gains are fitted with R(d) = d(α − β d).

    python benchmarks/overoptimisation.py --samples 64 --labels 400 --noise 0.05 0.25 0.4 --out runs/overoptimisation
"""

import argparse
import asyncio
import tempfile
from math import comb, log, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from trueline.core.messages import Conversation, Sampling, from_json
from trueline.core.protocols import Resources
from trueline.core.statistics.overoptimisation import fit_overoptimisation
from trueline.data.preferences import PreferencePair
from trueline.models.local import LocalTarget
from trueline.testbed import embedded
from trueline.testbed.annotators import Annotator, preference_pairs
from trueline.testbed.gold import GoldReward
from trueline.testbed.items import items
from trueline.treatments.best_of_n import best_of_n_kl
from trueline.treatments.reward import trained_reward

WORLD = embedded.world()


def chances(total: int, n: int) -> np.ndarray:
    """[N] chance that each of N answers, sorted upwards by the proxy, is the best of n drawn without replacement."""
    return np.array([comb(i, n - 1) / comb(total, n) for i in range(total)])


def expected(proxy: np.ndarray, scored: np.ndarray, n: int) -> np.ndarray:
    """[prompts] expected ``scored`` of the best of n by ``proxy``, both [prompts, N]."""
    order = np.argsort(proxy, axis=1, kind="stable")
    return np.take_along_axis(scored, order, axis=1) @ chances(proxy.shape[1], n)


def draws(target: LocalTarget, prompts: list[Conversation], samples: int) -> list[list[str]]:
    """Answers of the base model to each prompt."""

    async def answer() -> list[Any]:
        wanted = Sampling(max_tokens=40, temperature=1.0, samples=samples, seed=17)
        return await asyncio.gather(*(target.generate(prompt, wanted) for prompt in prompts))

    return [[c.text for c in completions] for completions in asyncio.run(answer())]


def curve(proxy: np.ndarray, gold: np.ndarray, counts: list[int]) -> list[tuple[float, float, float, float]]:
    """(√KL, gold gain, its error over prompts, proxy gain in its own deviations) for each n."""
    lines = []
    spread = proxy.std()
    for n in counts:
        gain = expected(proxy, gold, n) - gold.mean(axis=1)
        rise = (expected(proxy, proxy, n) - proxy.mean(axis=1)) / spread
        lines.append(
            (
                sqrt(best_of_n_kl(n)),
                float(gain.mean()),
                float(gain.std(ddof=1) / sqrt(len(gain))),
                float(rise.mean()),
            )
        )
    return lines


def main() -> None:
    """Print a table a reward model, with the fitted form."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--labels", type=int, default=400)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.05, 0.25, 0.4])
    parser.add_argument("--sizes", nargs="+", default=["tiny", "medium", "large"])
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=None, help="Where reward models are kept.")
    options = parser.parse_args()
    base = LocalTarget.from_pretrained(embedded.folder("large"), dtype="float32")
    prompts = [item.conversation for item in items(WORLD, "unseen")]
    answers = draws(base, prompts, options.samples)
    judge = GoldReward(WORLD)
    gold = np.array([judge(prompt, texts) for prompt, texts in zip(prompts, answers)])
    counts = [n for n in (2, 4, 8, 16, 32, 64) if n <= options.samples]
    best = [float((expected(gold, gold, n) - gold.mean(axis=1)).mean()) for n in counts]
    print(f"{len(prompts)} prompts, {options.samples} answers each, untreated gold {gold.mean():.3f}")
    print("gold as its own proxy: " + "  ".join(f"n={n} {gain:+.3f}" for n, gain in zip(counts, best)))
    print(
        f"nats of KL at most: {', '.join(f'{best_of_n_kl(n):.2f}' for n in counts)} (log n {log(counts[-1]):.2f})"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for size in options.sizes:
            target = LocalTarget.from_pretrained(embedded.folder(size), dtype="float32")
            for noise in options.noise:
                rows = preference_pairs(WORLD, options.labels, Annotator(noise=noise), 0)
                pairs = tuple(PreferencePair(**{**row, "prompt": from_json(row["prompt"])}) for row in rows)
                resources = Resources(workdir=options.out or Path(scratch), preferences=pairs)
                reward = trained_reward(target, resources, learning_rate=options.rate, epochs=options.epochs)
                proxy = np.array([reward(prompt, texts) for prompt, texts in zip(prompts, answers)])
                lines = curve(proxy, gold, counts)
                form = fit_overoptimisation(
                    [d for d, *_ in lines], [gain for _, gain, *_ in lines], "best_of_n"
                )
                turn = "never turns" if form.turn is None else f"turns at √KL {form.turn:.2f}"
                print(
                    f"\nreward model {size}, label noise {noise:.0%}: α {form.alpha:.3f}, β {form.beta:.3f}, "
                    f"residual {form.residual:.3f}, {turn}"
                )
                for n, (d, gain, error, rise) in zip(counts, lines):
                    print(
                        f"  n={n:<3} √KL {d:.2f}  gold {gain:+.3f} ± {1.96 * error:.3f}  proxy {rise:+.2f} sd"
                    )


if __name__ == "__main__":
    main()
