"""Fits, tables and the picture of what ``overoptimisation.py`` and ``overoptimisation_policies.py`` kept.

For each method, size of the reward model and label noise, the forms of Gao et al. (arXiv 2210.10760) go through the
points of all seeds, d = √KL:

    best-of-n  R(d) = d (α − β d)        policy  R(d) = d (α − β log d)

Points of a policy are means over ten stretches of its rollouts, those of best-of-n the counts n. 95 % intervals
resample seeds and, within a seed, the rollouts of each stretch or the prompts. Contrasts of size and noise are paired
over what else is the same, with a t interval over the pairs of reward models.

    python benchmarks/overoptimisation_report.py runs/overoptimisation --svg docs/overoptimisation.svg
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from overoptimisation_cells import UNTREATED, read_cells
from scipy.special import stdtrit

from trueline.core.statistics import method_estimate
from trueline.core.statistics.overoptimisation import fit_overoptimisation
from trueline.reports.axes import spread
from trueline.reports.curves import Curve, curve_chart
from trueline.training.history import shifts
from trueline.treatments.best_of_n import best_of_n_kl

POINTS, GROUPS, RESAMPLES, SIZES = 10, 7, 400, ("tiny", "small", "medium", "large")
BUDGETS = (0.5, 1.0, 2.0)  # nats an answer
BESIDE = ("length", "entropy", "repetition", "refused", "truncated")
Cell = dict[str, Any]
STYLE = """
svg { --ink: #1d2126; --soft: #5d6670; --line: #e2dfd9; --paper: #ffffff;
  --hue1: #0072b2; --hue2: #d55e00; --hue3: #009e73; --hue4: #b0578d; font-family: system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { svg { --ink: #e8e6e1; --soft: #9aa4ae; --line: #2d333a; --paper: #14171a;
  --hue1: #5bb2ee; --hue2: #ff9a4d; --hue3: #45d0a4; --hue4: #e58fc2; } }
.grid { stroke: var(--line); } .tick { fill: var(--soft); font-size: 11px; }
.axis { fill: var(--ink); font-size: 12px; }
.line { fill: none; stroke: var(--hue); stroke-width: 1.8; } .dot { fill: var(--hue); stroke: var(--paper); }
""" + " ".join(f".hue{n} {{ --hue: var(--hue{n}); }}" for n in range(1, 5))


def is_policy(cell: Cell) -> bool:
    """Whether it is a run, and not best-of-n."""
    return "rollouts" in cell


def points(cell: Cell, rng: np.random.Generator | None = None) -> np.ndarray:
    """[points, 3]: √KL, gold gain, proxy gain in standard deviations of untreated answers; drawn anew with ``rng``."""
    if not is_policy(cell):
        both = [np.array(cell[name]) for name in ("gold", "proxy")]
        chosen = slice(None) if rng is None else rng.integers(both[0].shape[1], size=both[0].shape[1])
        means = [gain[:, chosen].mean(axis=1) for gain in both]
        return np.column_stack([[sqrt(best_of_n_kl(n)) for n in cell["counts"]], *means])
    table = gains(cell)
    parts = np.array_split(table, POINTS)
    if rng is not None:
        parts = [part[rng.integers(len(part), size=len(part))] for part in parts]
    means = np.array([part.mean(axis=0) for part in parts])
    return np.column_stack([np.sqrt(np.maximum(means[:, 0], 0)), means[:, 1:]])


def gains(cell: Cell) -> np.ndarray:
    """[rollouts, 3]: KL, gold and proxy (in deviations) less the untreated model's on the rollout's own prompts."""
    lines, before = cell["rollouts"], cell["untreated"]
    kl, gold, proxy = (np.array([line[name] for line in lines]) for name in ("kl", "gold", "reward"))
    return np.column_stack([kl, gold - before["gold"], (proxy - before["proxy"]) / cell["proxy_sd"]])


def fitted(tables: Sequence[np.ndarray], policy: bool) -> tuple[float, float, float, float | None]:
    """α, β, the residual and the turn, through the points that moved away at all."""
    pooled = np.concatenate(tables)
    pooled = pooled[pooled[:, 0] > 0]
    form = fit_overoptimisation(pooled[:, 0], pooled[:, 1], "rl" if policy else "best_of_n")
    return form.alpha, form.beta, form.residual, form.turn


def spans(cells: Sequence[Cell]) -> np.ndarray:
    """[2, 4]: 95 % intervals of α, β and of gold and proxy at the end."""
    rng, rows = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        chosen = [cells[i] for i in rng.integers(len(cells), size=len(cells))]
        tables = [points(cell, rng) for cell in chosen]
        alpha, beta, *_ = fitted(tables, is_policy(cells[0]))
        rows.append([alpha, beta, *np.mean([table[-1, 1:] for table in tables], axis=0)])
    return np.percentile(np.array(rows), [2.5, 97.5], axis=0)


def groups(cells: Sequence[Cell]) -> Iterator[tuple[tuple[str, str, float], list[Cell]]]:
    """The seeds of each method, size and noise."""
    keys = dict.fromkeys((c["kind"], c["size"], c["noise"]) for c in cells)
    for key in sorted(keys, key=lambda k: (k[0], SIZES.index(k[1]), k[2])):
        yield key, [c for c in cells if (c["kind"], c["size"], c["noise"]) == key]


def fits(cells: Sequence[Cell]) -> list[str]:
    """A Markdown table: a row a method, size and noise."""
    rows = [
        "| method | reward model | label noise | seeds | its accuracy | α | β | turns at √KL | √KL at the end | gold "
        "at the end | proxy at the end, sd |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (kind, size, noise), some in groups(cells):
        tables = [points(cell) for cell in some]
        alpha, beta, _, turn = fitted(tables, is_policy(some[0]))
        end, bounds = np.mean([table[-1] for table in tables], axis=0), spans(some)
        told = [
            f"{v:+.3f} [{low:+.3f}, {high:+.3f}]"
            for v, low, high in zip((alpha, beta, end[1]), *bounds[:, :3])
        ]
        proxy = f"{end[2]:+.2f} [{bounds[0, 3]:+.2f}, {bounds[1, 3]:+.2f}]"
        beyond = max(float(table[:, 0].max()) for table in tables)
        where = "never" if turn is None else f"{turn:.2f}" if turn <= beyond else "beyond"
        right = np.mean([cell["accuracy"] for cell in some])
        rows.append(
            f"| {kind} | {size} | {noise:.0%} | {len(some)} | {right:.2f} | {told[0]} | {told[1]} | {where} | "
            f"{end[0]:.2f} | {told[2]} | {proxy} |"
        )
    return rows


def interval(values: Sequence[float], digits: int = 3) -> str:
    """The mean with its t interval."""
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return f"{mean:+.{digits}f} (n {n})"
    half = float(stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / sqrt(n))
    return f"{mean:+.{digits}f} [{mean - half:+.{digits}f}, {mean + half:+.{digits}f}] (n {n})"


def over_all(cells: Sequence[Cell]) -> list[str]:
    """Each method over all of its reward models and seeds; how often it ends over-optimised."""
    rows = [
        "| method | gold at the end | proxy at the end, sd | ends with less gold than untreated | proxy rose and gold "
        "fell, both clearly |",
        "| --- | --- | --- | --- | --- |",
    ]
    for kind in dict.fromkeys(cell["kind"] for cell in cells):
        some = [cell for cell in cells if cell["kind"] == kind]
        below = sum(float(points(cell)[-1, 1]) < 0 for cell in some)
        fooled = [exploited(cell) for cell in some if is_policy(cell)]
        rows.append(
            f"| {kind} | {ends(some, 1)} | {ends(some, 2, 2)} | {below} of {len(some)} | "
            f"{f'{sum(fooled)} of {len(fooled)}' if fooled else '–'} |"
        )
    return rows


def ends(cells: Sequence[Cell], column: int, digits: int = 3) -> str:
    """The mean at the end: over runs; of best-of-n over reward models and prompts, both of which vary."""
    if is_policy(cells[0]):
        return interval([float(points(cell)[-1, column]) for cell in cells], digits)
    table = np.array([cell[("gold", "proxy")[column - 1]][-1] for cell in cells])
    found = method_estimate(table)
    shown = f"{found.value:+.{digits}f} [{found.low:+.{digits}f}, {found.high:+.{digits}f}]"
    return f"{shown} (n {len(table)} × {table.shape[1]} prompts)"


def exploited(cell: Cell) -> bool:
    """Whether the proxy rose and gold fell between the first and the last fifth of a run."""
    found = shifts([{"gold": gold, "reward": proxy} for _, gold, proxy in gains(cell)])
    reward, gold = found["reward"], found["gold"]
    return reward.clear and reward.change > 0 and gold.clear and gold.change < 0


def stopped(cell: Cell, budget: float) -> float:
    """Gold gain over the last four rollouts before training would have ended under a KL budget, as ``kl_budget`` ends
    it: where a rollout's KL exceeds it."""
    table = gains(cell)
    over = next((n for n, kl in enumerate(table[:, 0]) if kl > budget), len(table))
    return float(table[max(0, over - 4) : max(over, 1), 1].mean())


def budgets(cells: Sequence[Cell]) -> list[str]:
    """What a KL budget would have kept."""
    rows = [
        f"| method | {' | '.join(f'gold, stopped at {b:g} nats' for b in BUDGETS)} | gold at the end |",
        f"| --- |{' --- |' * (len(BUDGETS) + 1)}",
    ]
    for kind in dict.fromkeys(cell["kind"] for cell in cells if is_policy(cell)):
        some = [cell for cell in cells if cell["kind"] == kind]
        told = [interval([stopped(cell, budget) for cell in some]) for budget in (*BUDGETS, float("inf"))]
        rows.append(f"| {kind} | {' | '.join(told)} |")
    return rows


def contrast(
    cells: Sequence[Cell], name: str, low: Any, high: Any, read: Callable[[Cell], float]
) -> list[float]:
    """``read`` of cells at ``high`` less that at ``low``, all else being the same: a number a pair of reward models,
    the mean over the methods that learnt from both, since methods that share a reward model are not separate witnesses.
    """

    def models(level: Any) -> dict[tuple[Any, ...], dict[str, float]]:
        found: dict[tuple[Any, ...], dict[str, float]] = {}
        for cell in cells:
            if cell[name] == level:
                place = tuple(cell[key] for key in ("size", "noise", "seed") if key != name)
                found.setdefault(place, {})[cell["kind"]] = read(cell)
        return found

    before, after = models(low), models(high)
    shared = {place: before[place].keys() & after[place].keys() for place in before.keys() & after.keys()}
    return [
        float(np.mean([after[place][kind] - before[place][kind] for kind in kinds]))
        for place, kinds in shared.items()
        if kinds
    ]


def contrasts(cells: Sequence[Cell]) -> list[str]:
    """What another size, and more noise, change of gold at the end."""
    rows = ["| gold at the end | policies | best-of-n |", "| --- | --- | --- |"]
    sizes = [size for size in SIZES if any(cell["size"] == size for cell in cells)]
    noises = sorted({cell["noise"] for cell in cells})
    asked = [("size", sizes[0], size) for size in sizes[1:]] + [
        ("noise", noises[0], noise) for noise in noises[1:]
    ]
    for name, low, high in asked:
        told = []
        for policy in (True, False):
            some = [cell for cell in cells if is_policy(cell) == policy]
            found = contrast(some, name, low, high, lambda cell: float(points(cell)[-1, 1]))
            told.append(interval(found) if found else "not run")
        words = (
            f"{low:.0%} to {high:.0%} label noise"
            if name == "noise"
            else f"reward model {high} instead of {low}"
        )
        rows.append(f"| {words} | {told[0]} | {told[1]} |")
    return rows


def together(cells: Sequence[Cell]) -> list[str]:
    """All methods but PPO, and PPO beside them: a number a reward model, the mean over the methods that learnt from it,
    so that methods with one reward model are one witness. And how much of a rollout's gold is its prompts."""
    policies = [cell for cell in cells if is_policy(cell)]

    def of_models(read: Callable[[Cell], float], ppo: bool) -> dict[tuple[Any, ...], float]:
        found: dict[tuple[Any, ...], list[float]] = {}
        for cell in policies:
            if (cell["kind"] == "ppo") == ppo:
                found.setdefault((cell["size"], cell["noise"], cell["seed"]), []).append(read(cell))
        return {model: float(np.mean(values)) for model, values in found.items()}

    def end(cell: Cell) -> float:
        return float(points(cell)[-1, 1])

    others, ppo = of_models(end, False), of_models(end, True)
    rows = [f"the methods other than ppo, gold at the end: {interval(list(others.values()))}"]
    shared = [model for model in ppo if model in others]
    rows.append(f"ppo less those, at the end: {interval([ppo[m] - others[m] for m in shared])}")
    for name, chosen in (("the others", False), ("ppo", True)):
        for budget in BUDGETS:
            kept = of_models(partial(stopped, budget=budget), chosen)
            last = of_models(partial(stopped, budget=float("inf")), chosen)
            rows.append(
                f"{name}, stopped at {budget:g} nats: {interval(list(kept.values()))}; more than at the end: "
                f"{interval([kept[m] - last[m] for m in kept])}"
            )
    first = [
        (line["gold"], cell["untreated"]["gold"][n])
        for cell in policies
        for n, line in enumerate(cell["rollouts"][:4])
    ]
    rows.append(
        "gold of the first four rollouts and of the untreated model on their prompts: "
        f"r = {np.corrcoef(np.array(first).T)[0, 1]:.2f}"
    )
    turns = [fitted([points(c) for c in some], True)[3] for (kind, *_), some in groups(policies)]
    beta_above = sum(float(spans(some)[0, 1]) > 0 for _, some in groups(policies))
    within = sum(
        turn is not None and turn <= max(float(points(c)[:, 0].max()) for c in some)
        for turn, (_, some) in zip(turns, groups(policies))
    )
    rows.append(
        f"fits of policies that turn within reach: {within} of {len(turns)}; β clearly above 0: {beta_above}"
    )
    return rows


def beside(cells: Sequence[Cell]) -> list[str]:
    """What else moved, first and last fifth of the rollouts."""
    rows = [f"| method | {' | '.join(BESIDE)} |", f"| --- |{' --- |' * len(BESIDE)}"]
    for kind in dict.fromkeys(cell["kind"] for cell in cells if is_policy(cell)):
        found = [shifts(cell["rollouts"]) for cell in cells if cell["kind"] == kind]
        told = [
            f"{np.mean([one[name].start for one in found]):.2f} to {np.mean([one[name].end for one in found]):.2f} "
            f"({min(one[name].end for one in found):.2f}–{max(one[name].end for one in found):.2f})"
            for name in BESIDE
        ]
        rows.append(f"| {kind} | {' | '.join(told)} |")
    return rows


def picture(cells: Sequence[Cell]) -> str:
    """A column a method: gold above with the fitted form, proxy below; a hue a size of the reward model."""
    kinds = sorted({cell["kind"] for cell in cells})
    width, height, across = 300, 220, 4
    panels = []
    for column, words in ((1, "gold gain"), (2, "proxy gain, sd")):
        curves = {kind: _curves([cell for cell in cells if cell["kind"] == kind], column) for kind in kinds}
        heights = [y for some in curves.values() for curve in some for _, y in curve.points]
        for place, kind in enumerate(kinds):
            chart = curve_chart(
                curves[kind], x_name=f"√KL, nats: {kind}", y_name=words, width=width, height=height, key=False,
                y_range=spread(heights, floor_at=None, ceiling_at=None),
            )  # fmt: skip
            row = 2 * (place // across) + column - 1
            at = f'x="{place % across * width}" y="{row * height}" width="{width}" height="{height}"'
            panels.append(chart.replace("<svg ", f"<svg {at} ", 1))
    foot = 2 * -(-len(kinds) // across) * height
    key = "".join(
        f'<circle class="dot hue{hue}" cx="{60 + 190 * n}" cy="{foot + 14}" r="4"/>'
        f'<text class="axis" x="{72 + 190 * n}" y="{foot + 18}">{size} reward model</text>'
        for n, (size, hue) in enumerate(_hues(cells).items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width * across} {foot + 30}" role="img" '
        f'aria-label="Gold and proxy against √KL"><style>{STYLE}</style>'
        f'<rect width="100%" height="100%" fill="var(--paper)"/>{"".join(panels)}{key}</svg>\n'
    )


def _hues(cells: Sequence[Cell]) -> dict[str, int]:
    found = {cell["size"] for cell in cells}
    return {size: hue for hue, size in enumerate((size for size in SIZES if size in found), 1)}


def _curves(cells: Sequence[Cell], column: int) -> list[Curve]:
    """Of each size, over noises and seeds: gold's fitted form as a line, means of groups of neighbours as dots."""
    curves = []
    for size, hue in _hues(cells).items():
        some = [cell for cell in cells if cell["size"] == size]
        table = np.concatenate([points(cell) for cell in some])
        table = table[np.argsort(table[:, 0])]
        means = [part.mean(axis=0) for part in np.array_split(table, GROUPS)]
        dots = [(float(mean[0]), float(mean[column])) for mean in means]
        if column == 1:
            kind = "rl" if is_policy(some[0]) else "best_of_n"
            moved = table[table[:, 0] > 0]
            form = fit_overoptimisation(moved[:, 0], moved[:, 1], kind)
            line = [(d, form.gain(d)) for d in np.linspace(dots[0][0], dots[-1][0], 60).tolist()]
            curves.append(Curve(label=f"{size}, fitted", points=line, hue=hue, drawn="line"))
        curves.append(Curve(label=size, points=dots, hue=hue, drawn="dots" if column == 1 else "both"))
    return curves


def with_untreated(cells: Sequence[Cell]) -> list[Cell]:
    """Runs with what the untreated model has on their prompts; the cells that hold it are left out."""

    def model(cell: Cell) -> tuple[Any, ...]:
        return tuple(cell.get(name) for name in ("policy", "labels", "batch_size", "size", "noise", "seed"))

    before = {model(cell): cell for cell in cells if cell["kind"] == UNTREATED}
    return [
        {**cell, "untreated": before[model(cell)]} if is_policy(cell) else cell
        for cell in cells
        if cell["kind"] != UNTREATED
    ]


def main() -> None:
    """Print the tables, write the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    cells = with_untreated([cell for cell in read_cells(options.folder) if cell["size"] != "gold"])
    spent = sum(cell.get("cpu_seconds", 0.0) for cell in cells)
    policies = sum(map(is_policy, cells))
    print(
        f"{policies} runs of policies ({spent:.0f} CPU s), {len(cells) - policies} reward models under best-of-n\n"
    )
    for table in (fits, over_all, budgets, contrasts, beside, together):
        print("\n".join(table(cells)), end="\n\n")
    for ideal in (cell for cell in read_cells(options.folder) if cell["size"] == "gold"):
        told = [f"n = {n} {np.mean(gain):+.3f}" for n, gain in zip(ideal["counts"], ideal["gold"])]
        print(f"gold as its own proxy, best-of-n from {ideal['before']:.3f}: {', '.join(told)}")
    if options.svg:
        options.svg.write_text(picture(cells))


if __name__ == "__main__":
    main()
