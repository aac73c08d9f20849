"""Over-optimisation of a reward model by best-of-n on the testbed: gold and proxy reward against √KL (2210.10760).

Reward models of several sizes learn one annotator's preferences at several levels of label noise. N answers to each
held-out prompt are drawn once from the base model; the expected gold and proxy reward of the best of n by the proxy
are exact over all n-subsets of them:

    P(the i-th of N by proxy is the best of n) = C(i − 1, n − 1) / C(N, n),  i counted from the lowest.

The KL is the upper bound log n − (n − 1)/n. ``overoptimisation_report.py`` fits and draws what is kept here.

    python benchmarks/overoptimisation.py --out runs/overoptimisation --noise 0.05 0.4 --seeds 0 1 2
"""

import argparse
import json
from math import comb
from pathlib import Path

import numpy as np
from overoptimisation_cells import WORLD, Cells, accuracy, draws, learnt, pairs, rewards

from trueline.models.local import LocalTarget
from trueline.testbed import embedded
from trueline.testbed.gold import GoldReward
from trueline.testbed.items import items


def chances(total: int, n: int) -> np.ndarray:
    """[N] chance that each of N answers, sorted upwards by the proxy, is the best of n drawn without replacement."""
    return np.array([comb(i, n - 1) / comb(total, n) for i in range(total)])


def expected(proxy: np.ndarray, scored: np.ndarray, n: int) -> np.ndarray:
    """[prompts] expected ``scored`` of the best of n by ``proxy``, both [prompts, N]."""
    order = np.argsort(proxy, axis=1, kind="stable")
    return np.take_along_axis(scored, order, axis=1) @ chances(proxy.shape[1], n)


def gains(proxy: np.ndarray, scored: np.ndarray, counts: list[int]) -> list[list[float]]:
    """[counts][prompts] gain of the best of n over a single answer."""
    return [np.round(expected(proxy, scored, n) - scored.mean(axis=1), 5).tolist() for n in counts]


def main() -> None:
    """A cell a reward model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="where answers, reward models and cells are kept"
    )
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--labels", type=int, default=400)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.05, 0.4])
    parser.add_argument("--sizes", nargs="+", default=["tiny", "small", "large"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--epochs", type=float, default=3.0)
    options = parser.parse_args()
    cells = Cells(options.out)
    prompts = [item.conversation for item in items(WORLD, "unseen")]
    kept = options.out / f"answers-{options.samples}.json"
    if not kept.exists():
        base = LocalTarget.from_pretrained(embedded.folder("large"), dtype="float32")
        kept.write_text(json.dumps(draws(base, prompts, options.samples)))
    answers = json.loads(kept.read_text())
    gold = rewards(GoldReward(WORLD), prompts, answers)
    counts = [n for n in (2, 4, 8, 16, 32, 64) if n <= options.samples]
    shared = {
        "kind": "best_of_n", "counts": counts, "samples": options.samples, "labels": options.labels,
        "rate": options.rate, "epochs": options.epochs,
    }  # fmt: skip
    if not cells.has({**shared, "size": "gold"}):
        cells.add({**shared, "size": "gold", "before": float(gold.mean()), "gold": gains(gold, gold, counts)})
    for seed in options.seeds:
        for size in options.sizes:
            for noise in options.noise:
                about = {**shared, "size": size, "noise": noise, "seed": seed}
                if cells.has(about):
                    continue
                said = pairs(noise, options.labels, seed)
                folder = options.out / f"{size}-{noise:g}-{seed}"
                _, reward = learnt(folder, size, said, seed, rate=options.rate, epochs=options.epochs)
                proxy = rewards(reward, prompts, answers)
                found = {
                    "accuracy": accuracy(reward),
                    "before": float(gold.mean()),
                    "gold": gains(proxy, gold, counts),
                    "proxy": gains(proxy / proxy.std(), proxy / proxy.std(), counts),
                }
                cells.add({**about, **found})
                ends = [float(np.mean(found[name][-1])) for name in ("gold", "proxy")]
                print(
                    f"{size}, noise {noise:.0%}, seed {seed}: accuracy {found['accuracy']:.2f}, at n = {counts[-1]} "
                    f"gold {ends[0]:+.3f}, proxy {ends[1]:+.2f} sd",
                    flush=True,
                )


if __name__ == "__main__":
    main()
