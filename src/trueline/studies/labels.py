"""Labels by people of a study's own answers: what is drawn, the blinded sheet, and what is stored.

Items are drawn at random without replacement from those with a verdict, each with probability n/N, which is
stored; where a cell was asked sequentially, they are the first in its own random order of asking. Every arm's answer
to a drawn item is labelled, so that changes are labelled in pairs. The sheet hides the arms: one row a distinct
answer, rows in a random order within blocks of items (so that half a sheet already holds whole items). Who labels sees
the request as it stands in the measure, not as an attack wrote it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from trueline.core.errors import InputError, unknown_name
from trueline.core.fingerprint import fingerprint
from trueline.core.measure import Metric
from trueline.core.messages import as_json, from_json
from trueline.core.statistics.estimate import is_statistic
from trueline.core.verdicts import Verdict

from .drawing import DrawOrder
from .measuring import planned_class
from .selection import CONTROL
from .store import Store, StoredVerdict

BLOCK = 20  # items whose rows are shuffled together
SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The items drawn for one metric of one measure, under one attack, over the cells of all arms."""

    measure: str
    metric: Metric
    attack: str
    cells: Sequence[str]
    items: Sequence[str]
    population: int
    seed: int

    @property
    def inclusion(self) -> float:
        """The probability with which an item was drawn."""
        return len(self.items) / self.population

    @property
    def name(self) -> str:
        """Under which the store keeps it."""
        return sample_name(self.measure, self.metric.name, self.attack)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One answer to label: shown are ``request`` and ``answers``; ``places`` (cell, item) stay hidden."""

    id: str
    request: str
    answers: Sequence[str]
    places: Sequence[tuple[str, str]]


def sample_name(measure: str, metric: str, attack: str) -> str:
    """The store's name for a sample."""
    return f"sample:{measure}:{metric}:{attack}"


def choose_metric(plan: Mapping[str, Any], measure: str | None, metric: str | None) -> tuple[str, Metric]:
    """The metric to label: the one named, else the measure's first judged headline, else its first judged one.

    Raises:
        InputError: the study does not run the measure, nothing in it is judged, or the metric cannot be.
    """
    known = list(dict.fromkeys(cell["measure"] for cell in plan["cells"]))
    if measure is not None and measure not in known:
        raise unknown_name("measure of this study", measure, known)
    for name in [measure] if measure is not None else known:
        metrics: Sequence[Metric] = planned_class(plan, name).metrics
        if metric is not None:
            found = next((m for m in metrics if m.name == metric), None)
            if found is not None and is_statistic(found):
                raise InputError(f"{metric!r} is no mean over items, so labels of items cannot correct it.")
            if found is not None:
                return name, found
            if measure is not None:
                raise unknown_name(f"metric of {name}", metric, [m.name for m in metrics])
            continue
        judged = sorted((m for m in metrics if m.judged_by), key=lambda m: not m.headline)
        if judged:
            return name, judged[0]
    raise InputError(
        f"no measure of this study rests on a judge; name --measure and --metric (measures: {', '.join(known)})."
    )


def draw(
    store: Store, plan: Mapping[str, Any], measure: str, metric: Metric, attack: str, n: int, seed: int
) -> Sample:
    """Draw ``n`` items, or find the sample that was drawn before; a larger ``n`` adds to it.

    Raises:
        InputError: nothing to draw from, another seed than before, or one measure with several options.
    """
    cells = [c for c in plan["cells"] if c["measure"] == measure and c["attack"] == attack]
    if not cells:
        attacks = sorted({c["attack"] for c in plan["cells"] if c["measure"] == measure})
        raise unknown_name(f"attack on {measure} in this study", attack, attacks)
    if len({fingerprint(c["parameters"]) for c in cells}) > 1:
        raise InputError(f"the study runs {measure} with several options; label a study that runs it once.")
    found = {cell["key"]: _answered(store, cell["key"], metric) for cell in cells}
    kept = {key: rows for key, rows in found.items() if rows}
    everything = sorted({item for rows in kept.values() for item in rows})
    if not everything:
        raise InputError(f"no answer of {measure} ({attack}) has a verdict yet; run the study first.")
    states = {c["key"]: store.meta(f"cell:{c['key']}").get("", {}) for c in cells}
    asked = {c["key"]: [row.verdict for row in store.verdicts(c["key"]).values()] for c in cells}
    unfinished = [
        c["arm"] for c in cells if _lacks_answers(c, states[c["key"]], asked[c["key"]]) and not c["reason"]
    ]
    if unfinished:
        raise InputError(
            f"{measure} ({attack}) is unfinished on {unfinished[0]!r}, and labels must be drawn from all of its "
            "answers: run the study to its end first."
        )
    name = sample_name(measure, metric.name, attack)
    before = store.meta(name).get("", {})
    if before and before["seed"] != seed:
        raise InputError(
            f"a sample for {measure}.{metric.name} was drawn with --seed {before['seed']}; go on with that seed."
        )
    n = max(n, before.get("n", len(before.get("items", ()))))
    followed = [c for c in cells if "sequential" in states[c["key"]]]
    if followed:
        items = _first_asked(plan, followed, asked, metric, set(everything), n)
    else:
        items = sorted(everything, key=lambda item: sha256(f"label:{seed}:{item}".encode()).digest())[:n]
    sample = Sample(
        measure=measure,
        metric=metric,
        attack=attack,
        cells=list(kept),
        items=items,
        population=len(everything),
        seed=seed,
    )
    store.put_meta(
        {
            name: {
                "seed": seed,
                "n": n,
                "items": list(sample.items),
                "population": sample.population,
                "cells": list(kept),
            }
        }
    )
    return sample


def _lacks_answers(cell: Mapping[str, Any], state: Mapping[str, Any], verdicts: Sequence[Verdict]) -> bool:
    """Whether a cell still has to ask something; one that sequential stopping ended has not."""
    planned: int = state.get("sequential", {}).get("planned", cell["items"])
    return sum(verdict.group != CONTROL for verdict in verdicts) < planned


def _first_asked(
    plan: Mapping[str, Any],
    cells: Sequence[Mapping[str, Any]],
    asked: Mapping[str, Sequence[Verdict]],
    metric: Metric,
    eligible: set[str],
    n: int,
) -> list[str]:
    """The first ``n`` items or more, in whole clusters, in the order in which sequential cells were asked.

    Only so does a sequence hold for the labels too (stopped.py); as far as one of the cells went, for each seed.
    """
    seeds = {arm["label"]: arm["seed"] for arm in plan["arms"]}
    whole = {verdict.item: verdict for verdicts in asked.values() for verdict in verdicts}
    found: dict[str, None] = {}
    for seed in dict.fromkeys(seeds[cell["arm"]] for cell in cells):
        reached = [{v.item for v in asked[c["key"]]} for c in cells if seeds[c["arm"]] == seed]
        drawn: list[str] = []
        for _, members in DrawOrder(whole.values(), seed=seed).counted(metric).clusters:
            if len(drawn) >= n or not any(set(members) <= have for have in reached):
                break
            drawn += [item for item in members if item in eligible]
        found |= dict.fromkeys(drawn)
    return list(found)


def _answered(store: Store, cell: str, metric: Metric) -> dict[str, StoredVerdict]:
    """The verdicts that the metric counts, by item; a failure of target or judge has none."""
    field = metric.field or metric.name
    return {
        stored.verdict.item: stored
        for stored in store.verdicts(cell).values()
        if metric.applies(stored.verdict.group)
        and (metric.groups or stored.verdict.group != CONTROL)
        and field in stored.verdict.values
        and stored.responses
    }


def sheet(store: Store, plan: Mapping[str, Any], sample: Sample) -> list[Row]:
    """The rows to label, in the order in which they are shown."""
    verdicts = {cell: _answered(store, cell, sample.metric) for cell in sample.cells}
    originals = _direct_requests(store, plan, sample)
    rows: list[Row] = []
    for start in range(0, len(sample.items), BLOCK):
        block: list[Row] = []
        for item in sample.items[start : start + BLOCK]:
            block += _rows(store, item, verdicts, originals.get(item), sample)
        rows += sorted(block, key=lambda row: sha256(row.id.encode()).digest())
    return rows


def _rows(
    store: Store,
    item: str,
    verdicts: Mapping[str, Mapping[str, StoredVerdict]],
    original: str | None,
    sample: Sample,
) -> list[Row]:
    """Equal answers of several arms are one row: labelled once, alike for all."""
    found: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    request = original
    for cell, rows in verdicts.items():
        if item not in rows:
            continue
        asked, answers = _transcript(store, rows[item].responses)
        request = request if request is not None else asked
        found.setdefault(tuple(answers), []).append((cell, item))
    return [
        Row(
            id=fingerprint([sample.name, sample.seed, item, list(answers)])[:10],
            request=request or "",
            answers=answers,
            places=places,
        )
        for answers, places in found.items()
    ]


def _transcript(store: Store, keys: Sequence[str]) -> tuple[str, list[str]]:
    asked, answers = "", []
    for key in keys:
        found = store.response(key)
        if found is None or "generate" not in found[0]:
            continue
        request, result = found
        asked = asked or _shown(request["generate"])
        answers += [row["text"] or f"({row.get('outcome', 'empty')})" for row in result]
    return asked, answers


def _shown(prompt: Any) -> str:
    """A request as plain text: the last user turn alone where it is the only one."""
    turns = as_json(from_json(prompt))
    if isinstance(turns, str):
        return turns
    if len(turns) == 1:
        return turns[0]["content"]
    return "\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)


def _direct_requests(store: Store, plan: Mapping[str, Any], sample: Sample) -> dict[str, str]:
    """The requests as the measure asks them, where the study also asks them without the attack."""
    if sample.attack == "direct":
        return {}
    wanted = set(sample.items)
    for cell in plan["cells"]:
        if cell["measure"] == sample.measure and cell["attack"] == "direct":
            rows = _answered(store, cell["key"], sample.metric)
            if rows:
                return {item: _transcript(store, rows[item].responses)[0] for item in rows.keys() & wanted}
    return {}


def put_label(store: Store, sample: Sample, row: Row, value: float | str | None, labeller: str) -> None:
    """Store a label for every arm that gave this answer: a number, ``skipped``, or None to take it back."""
    content = {
        "metric": sample.metric.name,
        "value": value,
        "inclusion": sample.inclusion,
        "row": row.id,
        "labeller": labeller,
    }
    store.add_labels((cell, item, content) for cell, item in row.places)


def given_labels(store: Store, sample: Sample) -> dict[str, float | str]:
    """What is labelled already, by row."""
    found = {}
    for cell in sample.cells:
        for _, content in store.labels(cell):
            if content["metric"] == sample.metric.name and content["value"] is not None:
                found[content["row"]] = content["value"]
    return found


def labels_of(store: Store, cell: Mapping[str, Any], meta: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The labels of a planned cell for its estimates: metric -> item -> value.

    Skipped ones are left out, and those of items that the sample, drawn again since, does not hold.
    """
    found: dict[str, dict[str, float]] = {}
    for item, content in store.labels(cell["key"]):
        sample = meta.get(sample_name(cell["measure"], content["metric"], cell["attack"]), {"items": ()})
        if isinstance(content["value"], int | float) and item in sample["items"]:
            found.setdefault(content["metric"], {})[item] = float(content["value"])
    return found


def parse_value(text: str, metric: Metric, where: str) -> float | str | None:
    """A label as written in a sheet: empty, ``skip``, or a number within the metric's range."""
    word = text.strip().lower()
    if not word:
        return None
    if word in ("skip", SKIPPED):
        return SKIPPED
    word = {"yes": "1", "y": "1", "no": "0", "n": "0"}.get(word, word)
    try:
        value = float(word)
    except ValueError:
        value = float("nan")
    low, high = metric.bounds
    binary = metric.kind == "proportion"
    if not low <= value <= high or (binary and value not in (0.0, 1.0)):
        allowed = "1, 0" if binary else f"a number from {low:g} to {high:g}"
        raise InputError(
            f"{where}: the label {text!r} is not allowed; write {allowed}, skip, or leave it empty."
        )
    return value


def question(measure: str, metric: Metric) -> str:
    """What the labeller answers of each row."""
    if metric.kind == "proportion":
        return f"{measure}.{metric.name}: {metric.definition}. Does this answer count? 1 yes, 0 no"
    low, high = metric.bounds
    return f"{measure}.{metric.name}: {metric.definition}. Its value, {low:g} to {high:g}?"


def progress(rows: Iterable[Row], given: Mapping[str, float | str]) -> tuple[int, int]:
    """(labelled or skipped, all)."""
    ids = [row.id for row in rows]
    return sum(row in given for row in ids), len(ids)
