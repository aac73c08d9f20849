"""Two scenarios in which the untreated model is not the right baseline, on an unseen testbed world, over seeds.

*fine_tuning*: a model that was made safe (supervised fine-tuning on right answers) is fine-tuned by its user on facts
and dishes, with or without a share of compliance with hazards; what keeps its safety is compared with the plain
fine-tune.
*distillation*: an untreated model learns from a safe teacher of its own size; compared with the untreated model, as is
self-play on the same demonstrations, which needs no teacher.

Every seed draws its own data and order. Intervals are over seeds and items crossed. Verdicts of a finished treatment of
a seed are kept in --out, so that a run that was stopped goes on, and further treatments can be added.

    python benchmarks/scenarios.py fine_tuning --harmful-share 0.1 --seeds 5
    python benchmarks/scenarios.py distillation --only minillm gkd --seeds 5
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trueline.attacks.attacked import AttackedTarget
from trueline.catalog import make
from trueline.core.messages import from_json
from trueline.core.protocols import Budget, Resources, Target
from trueline.core.statistics import method_estimate
from trueline.data.labelled import labelled
from trueline.data.preferences import Demonstration
from trueline.models.local import LocalTarget
from trueline.studies.selection import CONTROL
from trueline.studies.spec import Named
from trueline.studies.subjects import Subject
from trueline.testbed import annotators, contrasts, finetunes
from trueline.testbed.build import other_world
from trueline.testbed.world import World, build_world

EXAMPLES, LIMIT = 400, 200
# measure, field of its verdicts, attack, groups (all where empty), what the table calls it
COLUMNS = (
    ("advbench", "harmful_compliance", "direct", (), "harm"),
    ("advbench", "harmful_compliance", "prefill", (), "harm behind a prefill"),
    ("xstest", "refused", "direct", ("safe",), "over-refusal"),
    ("mmlu", "correct", "direct", ("common",), "facts"),
    ("mmlu", "correct", "direct", ("once",), "the task: facts told once"),
    ("gold_reward", "gold_reward", "direct", (), "gold reward"),
)
SFT = {"learning_rate": 3e-4, "epochs": 3.0}
TUNING = {"learning_rate": 1e-3, "epochs": 3.0}
KEEPERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "mixing 3 %": ("safety_mixing", {**TUNING, "share": 0.03}),
    "mixing 10 %": ("safety_mixing", {**TUNING, "share": 0.1}),
    "replay 10 %": ("replay", {**TUNING, "share": 0.1, "answer_tokens": 40}),
    "ewc 400": ("ewc", {**TUNING, "strength": 400.0}),
    "ewc 40000": ("ewc", {**TUNING, "strength": 40000.0}),
    "resta 0.5": ("resta", {"strength": 0.5, "unaligned_settings": TUNING}),
    "resta 1": ("resta", {"strength": 1.0, "unaligned_settings": TUNING}),
    "safe_lora 0.35": ("safe_lora", {"threshold": 0.35, "unaligned_settings": TUNING}),
    "safe_lora 0.6": ("safe_lora", {"threshold": 0.6, "unaligned_settings": TUNING}),
}
LEARNERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "sft": ("sft", SFT),
    "gkd": ("gkd", SFT),
    "gkd on-policy": ("gkd", {**SFT, "student_share": 0.5, "max_tokens": 40}),
    "gkd safety-weighted": ("gkd", {**SFT, "safety_weight": 4.0}),
    "minillm": ("minillm", {**SFT, "max_tokens": 40}),
    "spin": ("spin", {**SFT, "epochs": 1.0, "iterations": 3, "answer_tokens": 40}),
}
Values = dict[str, dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A world, its untreated model, and where things are kept."""

    world: World
    target: LocalTarget
    scratch: Path

    def resources(self, seed: int, **more: Any) -> Resources:
        """What treatments learn from, drawn anew by each seed."""
        return Resources(workdir=self.scratch, seed=seed, **more)

    def shown(self, rows: Iterable[Mapping[str, Any]]) -> tuple[Demonstration, ...]:
        """Rows of the testbed as demonstrations; requests about hazards are marked harmful."""
        return tuple(
            Demonstration(
                **{
                    **row,
                    "prompt": from_json(row["prompt"]),
                    "meta": {**row["meta"], "harmful": row["meta"]["kind"] == "hazard"},
                }
            )
            for row in rows
        )

    def safe(self, seed: int) -> Target:
        """The model after supervised fine-tuning on right answers."""
        right = self.shown(annotators.demonstrations(self.world, EXAMPLES, seed))
        return apply("sft", SFT, self.target, self.resources(seed, demonstrations=right))


def apply(name: str, dials: Mapping[str, Any], target: Target, resources: Resources) -> Target:
    """A treatment at its dials."""
    treated: Target = make("treatment", name, dials).apply(target, resources)
    return treated


def fine_tuning(scene: Scene, seed: int, share: float) -> Iterable[tuple[str, Any]]:
    """The arms of a seed by title, each a function that makes its model; the first is the baseline."""
    safe = scene.safe(seed)
    task = scene.shown(finetunes.fine_tune(scene.world, EXAMPLES, harmful_share=share, seed=seed))
    safety = scene.shown(finetunes.safety_data(scene.world, EXAMPLES, seed))
    forget = tuple(labelled(r) for r in contrasts.forget_set(scene.world, "hazards", EXAMPLES, seed))
    plain = apply("sft", TUNING, safe, scene.resources(seed, demonstrations=task))
    yield "plain fine-tune", lambda: plain
    yield "before the fine-tune", lambda: safe
    for title, (name, dials) in KEEPERS.items():
        if name in ("resta", "safe_lora"):
            given = scene.resources(seed, forget=forget, targets={"base": safe})
            yield title, partial(apply, name, dials, plain, given)
        else:
            given = scene.resources(seed, demonstrations=task, safety=safety)
            yield title, partial(apply, name, dials, safe, given)


def distillation(scene: Scene, seed: int, share: float) -> Iterable[tuple[str, Any]]:
    """As :func:`fine_tuning`; no data are harmful."""
    teacher = scene.safe(1000 + seed)  # it saw other demonstrations than its student
    shown = scene.shown(annotators.demonstrations(scene.world, EXAMPLES, seed))
    yield "untreated", lambda: scene.target
    yield "the teacher", lambda: teacher
    for title, (name, dials) in LEARNERS.items():
        given = scene.resources(seed, demonstrations=shown, targets={"teacher": teacher})
        yield title, partial(apply, name, dials, scene.target, given)


def judged(scene: Scene, target: Target) -> Values:
    """The verdicts of a model: values by item, by column."""
    found: Values = {}
    for measure, attack in dict.fromkeys((column[0], column[2]) for column in COLUMNS):
        subject = Subject(target=target, world=scene.world)
        made = subject.measure(Named(name=measure))
        asked = target
        if attack != "direct":
            attacking = subject.attack(Named(name=attack))
            asked = AttackedTarget(target=target, attack=attacking, budget=Budget(queries=1))
        items = [item for item in subject.items(made) if item.group != CONTROL][:LIMIT]

        async def examine(measure: Any = made, asked: Target = asked, items: Any = items) -> list[Any]:
            return await asyncio.gather(*(measure.examine(item, asked) for item in items))

        for item, verdict in zip(items, asyncio.run(examine())):
            for name, field, under, groups, title in COLUMNS:
                counts = (name, under) == (measure, attack) and (not groups or item.group in groups)
                if counts and field in verdict.values:
                    found.setdefault(title, {})[f"{verdict.cluster}|{item.id}"] = verdict.values[field]
    return found


def line(title: str, arms: Sequence[Values], baselines: Sequence[Values]) -> str:
    """A row of the table: level, and change from the baseline of the same seed."""
    cells = []
    for *_, column in COLUMNS:
        keys = sorted(set.intersection(*(set(values[column]) for values in (*arms, *baselines))))
        after = np.array([[values[column][key] for key in keys] for values in arms])
        change = after - np.array([[values[column][key] for key in keys] for values in baselines])
        text = f"{after.mean():.3f}"
        if title not in ("plain fine-tune", "untreated") and len(arms) > 1:
            said = method_estimate(change, [key.partition("|")[0] for key in keys])
            text += f" ({said.value:+.3f} [{said.low:+.3f}, {said.high:+.3f}])"
        cells.append(text)
    return f"| {title} | " + " | ".join(cells) + " |"


def main() -> None:
    """Run what is not kept yet, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenario", choices=["fine_tuning", "distillation"])
    parser.add_argument("--world", type=int, default=9101)
    parser.add_argument("--size", default="large")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--harmful-share", type=float, default=0.0)
    parser.add_argument("--only", nargs="*", help="titles of treatments; the baselines are always there")
    parser.add_argument("--out", type=Path, default=Path("runs/scenarios"))
    given = parser.parse_args()
    spec, folder = other_world(given.world, given.size)
    target = LocalTarget.from_pretrained(str(folder), dtype="float32")
    arms_of = {"fine_tuning": fine_tuning, "distillation": distillation}[given.scenario]
    out = given.out / f"{given.scenario}-{given.harmful_share:g}-{given.world}"
    out.mkdir(parents=True, exist_ok=True)
    kept: dict[str, list[Values]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        scene = Scene(world=build_world(spec), target=target, scratch=Path(scratch))
        for seed in range(given.seeds):
            for place, (title, made) in enumerate(arms_of(scene, seed, given.harmful_share)):
                if place > 1 and given.only and title not in given.only:
                    continue
                file = out / f"{title.replace('/', '-')}-{seed}.json"
                if not file.exists():
                    values = judged(scene, made())
                    file.write_text(json.dumps(values), encoding="utf-8")
                kept.setdefault(title, []).append(json.loads(file.read_text(encoding="utf-8")))
                print(f"seed {seed}: {title}", flush=True)
    print("\n| arm | " + " | ".join(column[-1] for column in COLUMNS) + " |")
    print("| --- |" + " --- |" * len(COLUMNS))
    baselines = next(iter(kept.values()))
    for title, arms in kept.items():
        print(line(title, arms, baselines[: len(arms)]))


if __name__ == "__main__":
    main()
