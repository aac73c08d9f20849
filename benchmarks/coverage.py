"""How often the 95 % intervals of trueline.core.statistics hold the truth, cell by cell of a stated grid.

    python benchmarks/coverage.py                     # 1,000 runs a cell: about three minutes on one core
    python benchmarks/coverage.py --runs 10000        # the claim: about half an hour
    python benchmarks/coverage.py --only clustered paired

Each table prints coverage and mean width for every cell, and marks those below 93 %. Independent proportions
are summed exactly, so there runs do not matter. Cells that fail are printed like the others: the grid says
where an interval can be trusted and where it cannot.
"""

import argparse
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from trueline.core.measure import Floats, Metric
from trueline.core.statistics import (
    CardSource,
    Interval,
    betting_sequence,
    change_sequence,
    clopper_pearson,
    method_estimate,
    ppi_change,
    ppi_mean,
    proportion_interval,
    resample,
    rogan_gladen,
    transported_card,
    wilson,
)
from trueline.core.statistics.change import change_interval
from trueline.core.statistics.estimate import mean_interval

FLOOR = 0.93
PROPORTION = Metric(name="m", definition="simulated")
MEAN = Metric(name="m", definition="simulated", kind="mean")
Random = np.random.Generator
Run = Callable[[Random], tuple[float, float, float]]  # low, high, truth


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell's outcome. ``runs`` is 0 where coverage is exact."""

    name: str
    coverage: float
    width: float
    runs: int

    @property
    def error(self) -> float:
        """Monte Carlo standard error of the coverage."""
        return math.sqrt(self.coverage * (1 - self.coverage) / self.runs) if self.runs else 0.0


def simulate(name: str, run: Run, runs: int, seed: int = 0) -> Cell:
    """Coverage of an interval over independent runs."""
    rng = np.random.default_rng([seed, sum(name.encode())])
    held = width = 0.0
    for _ in range(runs):
        low, high, truth = run(rng)
        held += low - 1e-12 <= truth <= high + 1e-12
        width += high - low
    return Cell(name=name, coverage=held / runs, width=width / runs, runs=runs)


def correlated(rng: Random, rate: float, clusters: int, icc: float) -> Floats:
    """Beta-distributed rates of clusters [K] with the given mean and intra-cluster correlation."""
    if icc == 0:
        return np.full(clusters, rate)
    strength = (1 - icc) / icc
    return rng.beta(strength * rate, strength * (1 - rate), clusters)


def independent_proportion(runs: int) -> Iterator[Cell]:
    """Exact: every count weighted by its binomial probability."""
    methods: dict[str, Callable[[float, float], Interval]] = {
        "estimate": proportion_interval,
        "plain Wilson": wilson,
        "Clopper–Pearson": clopper_pearson,
    }
    rates, sizes = (0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 0.5), (20, 50, 100, 300, 1000)
    for label, method in methods.items():
        for rate, n in itertools.product(rates, sizes):
            counts = np.arange(n + 1)
            ways = special.gammaln(n + 1) - special.gammaln(counts + 1) - special.gammaln(n - counts + 1)
            chance = np.exp(ways + counts * math.log(rate) + (n - counts) * math.log1p(-rate))
            found = [method(float(x), n) for x in counts]
            held = np.array([i.low <= rate <= i.high for i in found])
            width = float(chance @ np.array([i.high - i.low for i in found]))
            name = f"{label}: rate {rate}, n {n}"
            yield Cell(name=name, coverage=float(chance @ held), width=width, runs=0)


def clustered_run(rate: float, clusters: int, size: int, icc: float) -> Run:
    """A clustered proportion; sizes vary between 0.2 and 1.8 times ``size``."""
    sizes = np.maximum(1, np.round(size * np.linspace(0.2, 1.8, clusters))).astype(int)
    codes = np.repeat(np.arange(clusters), sizes)

    def run(rng: Random) -> tuple[float, float, float]:
        values = (rng.random(len(codes)) < correlated(rng, rate, clusters, icc)[codes]).astype(float)
        interval, _ = mean_interval(PROPORTION, values, codes, clusters)
        return interval.low, interval.high, rate

    return run


def clustered_proportion(runs: int) -> Iterator[Cell]:
    for rate, clusters, size, icc in itertools.product(
        (0.05, 0.1, 0.3, 0.5), (10, 25, 50), (4, 20), (0.0, 0.1, 0.3)
    ):
        name = f"rate {rate}, {clusters} clusters of about {size}, icc {icc}"
        yield simulate(name, clustered_run(rate, clusters, size, icc), runs)


def mean_run(shape: tuple[float, float], clusters: int, size: int, icc: float) -> Run:
    """Scores Beta(a, b) around cluster means."""
    a, b = shape
    codes = np.repeat(np.arange(clusters), size)

    def run(rng: Random) -> tuple[float, float, float]:
        centre = np.clip(correlated(rng, a / (a + b), clusters, icc), 1e-6, 1 - 1e-6)[codes]
        values = rng.beta(centre * (a + b), (1 - centre) * (a + b))
        interval, _ = mean_interval(MEAN, values, codes, clusters)
        return interval.low, interval.high, a / (a + b)

    return run


def clustered_mean(runs: int) -> Iterator[Cell]:
    for shape, (clusters, size), icc in itertools.product(
        ((0.3, 2.0), (1.0, 1.0), (3.0, 1.0)), ((10, 10), (25, 10), (50, 4), (100, 1)), (0.0, 0.1, 0.3)
    ):
        if size > 1 or icc == 0:
            name = f"Beta{shape}, {clusters} clusters of {size}, icc {icc}"
            yield simulate(name, mean_run(shape, clusters, size, icc), runs)


def paired_run(lost: float, gained: float, clusters: int, size: int, icc: float) -> Run:
    """Binary verdicts in two arms: 1 → 0 with rate ``lost``, 0 → 1 with rate ``gained``."""
    codes = np.repeat(np.arange(clusters), size)

    def run(rng: Random) -> tuple[float, float, float]:
        discordant = rng.random(len(codes)) < correlated(rng, lost + gained, clusters, icc)[codes]
        up = rng.random(len(codes)) < gained / (lost + gained)
        both = (rng.random(len(codes)) < 0.5).astype(float)
        old = np.where(discordant, (~up).astype(float), both)
        new = np.where(discordant, up.astype(float), both)
        interval, _, _ = change_interval(old, new, codes, clusters, (0.0, 1.0))
        return interval.low, interval.high, gained - lost

    return run


def paired(runs: int) -> Iterator[Cell]:
    rates = ((0.02, 0.0), (0.02, 0.05), (0.1, 0.02), (0.1, 0.1), (0.3, 0.05))
    sizes = ((30, 1), (100, 1), (500, 1), (10, 10), (25, 4), (25, 20), (50, 4))
    for (lost, gained), (clusters, size), icc in itertools.product(rates, sizes, (0.0, 0.2)):
        if size > 1 or icc == 0:
            name = f"lost {lost}, gained {gained}, {clusters} clusters of {size}, icc {icc}"
            yield simulate(name, paired_run(lost, gained, clusters, size, icc), runs)


def judged_answers(rng: Random, truth: Floats, sensitivity: float, specificity: float) -> Floats:
    """What a judge with these errors says."""
    chance = np.where(truth > 0, sensitivity, 1 - specificity)
    return (rng.random(len(truth)) < chance).astype(float)


def powered_run(rate: float, labelled: int, judge: tuple[float, float], clusters: int) -> Run:
    """Prediction-powered mean of 1,000 items, some of them labelled at random."""
    items = 1000
    codes = np.arange(items) % clusters

    def run(rng: Random) -> tuple[float, float, float]:
        chance = correlated(rng, rate, clusters, 0.0 if clusters == items else 0.1)[codes]
        truth = (rng.random(items) < chance).astype(float)
        labels = np.full(items, np.nan)
        chosen = rng.choice(items, labelled, replace=False)
        labels[chosen] = truth[chosen]
        found = ppi_mean(labels, judged_answers(rng, truth, *judge), clusters=codes)
        return found.low, found.high, rate

    return run


def powered_change_run(before: float, after: float, labelled: int, judge: tuple[float, float]) -> Run:
    """Prediction-powered paired change; the arms share the difficulty of half of the items."""
    items = 1000

    def run(rng: Random) -> tuple[float, float, float]:
        difficulty = rng.random(items)
        changed = np.where(rng.random(items) < 0.5, difficulty, rng.random(items))
        arms = [(difficulty < before).astype(float), (changed < after).astype(float)]
        hidden = np.ones(items, dtype=bool)
        hidden[rng.choice(items, labelled, replace=False)] = False
        labels = [np.where(hidden, np.nan, arm) for arm in arms]
        said = [judged_answers(rng, arm, *judge) for arm in arms]
        found = ppi_change(labels[0], labels[1], said[0], said[1])
        return found.low, found.high, after - before

    return run


def powered(runs: int) -> Iterator[Cell]:
    judges = ((0.95, 0.98), (0.8, 0.9), (0.5, 0.5))
    for rate, labelled, judge, clusters in itertools.product(
        (0.05, 0.2, 0.5), (50, 100, 200), judges, (1000, 50)
    ):
        name = f"rate {rate}, {labelled} labels, Se/Sp {judge}, {clusters} clusters"
        yield simulate(name, powered_run(rate, labelled, judge, clusters), runs)
    changes = ((0.3, 0.1), (0.1, 0.1))
    for (before, after), labelled, judge in itertools.product(changes, (100, 200), judges):
        name = f"change {before} to {after}, {labelled} labels, Se/Sp {judge}"
        yield simulate(name, powered_change_run(before, after, labelled, judge), runs)


def transported_run(rate: float, sources: int, spread: float, shift: float) -> Run:
    """A card from ``sources`` sources whose sensitivity varies by ``spread``; the target's may be shifted."""

    def run(rng: Random) -> tuple[float, float, float]:
        hits = np.clip(rng.normal(0.8, spread, sources + 1), 0.02, 0.99)
        right = np.clip(rng.normal(0.93, 0.03, sources + 1), 0.02, 0.99)
        card = transported_card(
            [
                CardSource(
                    true_positives=int(rng.binomial(200, hits[i])),
                    positives=200,
                    true_negatives=int(rng.binomial(200, right[i])),
                    negatives=200,
                )
                for i in range(sources)
            ]
        )
        sensitivity = max(0.0, hits[-1] - shift)
        judged = rng.binomial(450, rate * sensitivity + (1 - rate) * (1 - right[-1])) / 450
        found = rogan_gladen(judged, 450, card)
        # An uncorrected rate claims nothing about the truth: it counts neither way, the run is drawn again.
        return (found.low, found.high, rate) if found.corrected else run(rng)

    return run


def transported(runs: int) -> Iterator[Cell]:
    for rate, sources, spread in itertools.product((0.1, 0.3, 0.6), (3, 5, 10), (0.03, 0.1)):
        name = f"rate {rate}, {sources} sources, spread {spread}"
        yield simulate(name, transported_run(rate, sources, spread, 0.0), runs)
    for rate in (0.3, 0.6):
        yield simulate(f"SHIFTED by 0.4 (must fail): rate {rate}", transported_run(rate, 10, 0.03, 0.4), runs)


def ratio(columns: Mapping[str, Floats], weights: Floats) -> float:
    return float((weights @ columns["a"]) / (weights @ columns["b"]))


def auc(columns: Mapping[str, Floats], weights: Floats) -> float:
    positive, w = columns["y"], weights  # columns come sorted by score
    below = np.cumsum(w * (1 - positive)) - 0.5 * w * (1 - positive)
    return float((w * positive) @ below / ((w @ positive) * (w @ (1 - positive))))


def ece(columns: Mapping[str, Floats], weights: Floats) -> float:
    bins = np.bincount(columns["bin"].astype(int), weights=weights * columns["gap"], minlength=10)
    return float(np.abs(bins).sum() / weights.sum())


def statistic_run(kind: str, n: int) -> Run:
    """Ratio of means (skewed), AUC of normals one sd apart, ECE of a calibrated or overconfident model."""

    def run(rng: Random) -> tuple[float, float, float]:
        if kind == "ratio":
            b = rng.gamma(2.0, 0.5, n) + 0.2
            found = resample(ratio, {"a": b * rng.exponential(1.0, n), "b": b}, seed=1, replicates=400)
            return found.low, found.high, 1.0
        if kind == "auc":
            y = (rng.random(n) < 0.2).astype(float)
            y[:2] = (0.0, 1.0)
            order = np.argsort(rng.normal(size=n) + y)
            found = resample(auc, {"y": y[order]}, seed=1, replicates=400)
            return found.low, found.high, float(special.ndtr(math.sqrt(0.5)))
        confidence = rng.beta(5, 1.5, n)
        right = rng.random(n) < confidence ** (1 if kind == "ece, calibrated" else 2)
        columns = {"bin": np.minimum(confidence * 10, 9.0).astype(int) + 0.0, "gap": right - confidence}
        found = resample(ece, columns, seed=1, replicates=400)
        gap = 5 / 6.5 - 5 * 6 / (6.5 * 7.5)  # E[c] − E[c²]; every bin errs the same way
        return max(found.low, 0.0), found.high, 0.0 if kind == "ece, calibrated" else gap

    return run


def statistics(runs: int) -> Iterator[Cell]:
    kinds = ("ratio", "auc", "ece, overconfident", "ece, calibrated")
    for kind, n in itertools.product(kinds, (50, 100, 300)):
        yield simulate(f"{kind}, n {n}", statistic_run(kind, n), max(100, runs // 5))


def method_run(seeds: int, items: int, seed_sd: float, missing: float = 0.0, uneven: bool = False) -> Run:
    """Seeds and items crossed, item and residual standard deviations 1; ``uneven`` clusters of 1 to 9 items, which
    share half of their items' variance."""

    def run(rng: Random) -> tuple[float, float, float]:
        clusters = (
            np.repeat(np.arange(items), rng.integers(1, 10, items))[:items] if uneven else np.arange(items)
        )
        shared = rng.normal(size=items)[clusters]
        own = rng.normal(size=items)
        table = rng.normal(size=(seeds, items)) + (0.5**0.5 * (shared + own) if uneven else own)
        table += seed_sd * rng.normal(size=(seeds, 1)) + 3.0
        table[rng.random(table.shape) < missing] = np.nan
        found = method_estimate(table, clusters if uneven else None)
        return found.low, found.high, 3.0

    return run


def method(runs: int) -> Iterator[Cell]:
    for seeds, items, seed_sd in itertools.product((3, 5, 10), (50, 300), (0.0, 0.1, 0.5)):
        name = f"{seeds} seeds, {items} items, seed sd {seed_sd}"
        yield simulate(name, method_run(seeds, items, seed_sd), runs)
        name += ", uneven clusters, a fifth missing"
        yield simulate(name, method_run(seeds, items, seed_sd, missing=0.2, uneven=True), runs)


def sequence_run(rate: float, items: int) -> Run:
    """The tightest ends that a sequence ever showed: they hold only if all of its intervals held."""

    def run(rng: Random) -> tuple[float, float, float]:
        population = rng.permutation((np.arange(items) < round(rate * items)).astype(float))
        found = betting_sequence(population[: items // 2], items, grid=201)
        return float(found.low[-1]), float(found.high[-1]), float(population.mean())

    return run


def change_sequence_run(rate: float, change: float, items: int, size: int, missing: float) -> Run:
    """Half of the clusters of a paired set, drawn in random order; some verdicts are missing in either arm."""

    def run(rng: Random) -> tuple[float, float, float]:
        chance = np.repeat(correlated(rng, rate, items // size, 0.2 if size > 1 else 0.0), size)
        before = (rng.random(items) < chance).astype(float)
        after = np.where(rng.random(items) < 0.3, rng.random(items) < rate + change, before).astype(float)
        truth = float((after - before).mean())
        clusters = rng.permutation(items // size)[: items // size // 2]
        drawn = (clusters[:, None] * size + np.arange(size)).ravel()
        lost = rng.random(items) < missing
        found = change_sequence(
            np.where(lost, np.nan, before)[drawn],
            after[drawn],
            drawn // size,
            items=items,
            population=items // size,
            largest=size,
            grid=201,
        )
        return float(found.low[-1]), float(found.high[-1]), truth

    return run


def sequential(runs: int) -> Iterator[Cell]:
    for rate, items in itertools.product((0.05, 0.2, 0.5), (100, 400)):
        yield simulate(f"rate {rate}, half of {items} items", sequence_run(rate, items), max(100, runs // 5))
    for change, size, missing in itertools.product((0.0, 0.3), (1, 4), (0.0, 0.05)):
        name = f"change of {change} in 30 % of 400 items, clusters of {size}, {missing} missing"
        run = change_sequence_run(0.3, change, 400, size, missing)
        yield simulate(name, run, max(100, runs // 5))


TABLES: dict[str, Callable[[int], Iterator[Cell]]] = {
    "proportion": independent_proportion,
    "clustered": clustered_proportion,
    "mean": clustered_mean,
    "paired": paired,
    "powered": powered,
    "transported": transported,
    "statistics": statistics,
    "method": method,
    "sequential": sequential,
}


def main() -> None:
    """Print the tables that were asked for."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--only", nargs="*", choices=list(TABLES), default=list(TABLES))
    options = parser.parse_args()
    for name in options.only:
        start = time.perf_counter()
        cells = list(TABLES[name](options.runs))
        low = [cell for cell in cells if cell.coverage < FLOOR]
        print(f"\n## {name}: {len(cells)} cells, {len(low)} below 93 %, {time.perf_counter() - start:.0f} s")
        print("coverage  ±      width   cell")
        for cell in cells:
            mark = "  <- below 93 %" if cell in low else ""
            print(f"{cell.coverage:7.3f}  {cell.error:.3f}  {cell.width:6.3f}  {cell.name}{mark}", flush=True)


if __name__ == "__main__":
    main()
