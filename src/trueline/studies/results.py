"""What a study says, read from its store: estimates, paired changes with corrected p-values, costs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from trueline.core.errors import InputError
from trueline.core.statistics import benjamini_hochberg, holm
from trueline.core.verdicts import Verdict

from .comparable import corrected_alike
from .correcting import JudgeRecord
from .drawing import DrawOrder
from .labels import labels_of
from .measuring import planned_class
from .metric_results import Judged, MetricResult, metric_results
from .selection import CONTROL
from .stopped import Followed
from .store import Store, StoredVerdict, Usage
from .store_tables import without_password


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """One arm: what it is, and what it took."""

    label: str
    baseline: str
    treatment: str
    parameters: Mapping[str, Any]
    target: str
    role: Literal["treatment", "size"]
    seed: int
    provenance: Mapping[str, Any]
    usage: Usage
    seconds: float = 0.0
    scale: float | None = None  # on the study's scale_axis, where it was given

    @property
    def training(self) -> Mapping[str, Any]:
        """Tokens, FLOPs and seconds of training, empty for arms that were not trained."""
        return self.provenance.get("training") or {}


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """One measure under one attack on one arm."""

    key: str
    arm: str
    measure: str
    title: str
    component: str
    paper: str
    caution: str
    attack: str
    planned: int
    done: int
    missing: int
    reasons: Mapping[str, int]
    reason: str | None
    uninformative: str | None
    detectable: float | None
    warnings: Sequence[str]
    metrics: Mapping[str, MetricResult]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> Literal["done", "half", "empty", "not measurable"]:
        """Where the cell stands."""
        if self.reason is not None:
            return "not measurable"
        if self.done == 0:
            return "empty"
        return "done" if self.done >= self.planned else "half"

    @property
    def headline(self) -> MetricResult | None:
        """The metric that a summary shows: the first marked one that these verdicts have."""
        marked = [m for m in self.metrics.values() if m.metric.headline]
        return next(iter(marked or self.metrics.values()), None)


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """Everything a report, a comparison or a gate needs; ``stored`` are the verdicts of each cell by its key."""

    name: str
    arms: Sequence[ArmResult]
    cells: Sequence[CellResult]
    plan: Mapping[str, Any]
    versions: Mapping[str, str]
    store: Store = field(repr=False)
    stored: Mapping[str, Sequence[StoredVerdict]] = field(repr=False, default_factory=dict)

    def cell(self, arm: str, measure: str, attack: str = "direct") -> CellResult | None:
        """One cell, or None when the plan has none."""
        return next(
            (c for c in self.cells if c.arm == arm and c.measure == measure and c.attack == attack), None
        )

    @property
    def verdict_count(self) -> int:
        """Whole verdicts in the store, those on controls too."""
        return sum(map(len, self.stored.values()))

    @property
    def complete(self) -> bool:
        """Whether every measurable cell has all its verdicts."""
        return all(cell.state in ("done", "not measurable") for cell in self.cells)


def open_store(folder: Path | str) -> Store:
    """The store of a study folder, or at a URL, for reading.

    Raises:
        InputError: the folder holds no study.
    """
    if "://" not in str(folder) and not (Path(folder) / "store.sqlite").is_file():
        raise InputError(
            f"{str(folder)!r} holds no study (no store.sqlite); give the --out folder of trueline study run or demo."
        )
    return Store(folder, read_only=True)


def read_results(folder: Path | str, *, replicates: int = 1000, baseline: str | None = None) -> StudyResults:
    """Estimates of a finished or half-finished study; ``baseline`` names another arm to take changes from.

    Raises:
        InputError: the folder holds no study.
    """
    store = open_store(folder)
    meta = store.meta("")
    if "plan" not in meta:
        where = without_password(str(folder))
        raise InputError(f"{where!r} holds a store without a plan: run trueline study run again on it.")
    plan = meta["plan"]
    states = {name.removeprefix("cell:"): v for name, v in meta.items() if name.startswith("cell:")}
    stored = {cell["key"]: tuple(store.verdicts(cell["key"]).values()) for cell in plan["cells"]}
    verdicts = {key: [row.verdict for row in rows] for key, rows in stored.items()}
    baselines = {arm["label"]: baseline or arm["baseline"] for arm in plan["arms"]}
    by_place = {_place(cell): cell["key"] for cell in plan["cells"]}
    cards = {name.removeprefix("card:"): v for name, v in meta.items() if name.startswith("card:")}
    labels = {cell["key"]: labels_of(store, cell, meta) for cell in plan["cells"]}
    cells = []
    for cell in plan["cells"]:
        state = states.get(cell["key"], {})
        first = _baseline_key(cell, baselines, by_place)
        judged = Judged(
            labels=labels[cell["key"]],
            labels_before=labels.get(first or "", {}),
            judges={k: JudgeRecord.read(v, cards) for k, v in state.get("judges", {}).items()},
            followed=_followed(plan, cell, states, verdicts, first),
        )
        before = verdicts.get(first) if first is not None else None
        cells.append(_cell(plan, cell, state, verdicts[cell["key"]], before, judged, replicates))
    return StudyResults(
        name=plan["spec"]["name"],
        arms=_arms(plan, meta, store),
        cells=_corrected(corrected_alike(cells), plan["primary"]),
        plan=plan,
        versions=meta.get("versions", {}),
        store=store,
        stored=stored,
    )


def _place(cell: Mapping[str, Any], arm: str | None = None) -> tuple[str, ...]:
    parameters = json.dumps(cell["parameters"], sort_keys=True)
    return (arm or cell["arm"], cell["measure"], parameters, cell["attack"])


def _baseline_key(
    cell: Mapping[str, Any], baselines: Mapping[str, str], by_place: Mapping[tuple[str, ...], str]
) -> str | None:
    baseline = baselines[cell["arm"]]
    return None if baseline == cell["arm"] else by_place.get(_place(cell, baseline))


def _cell(
    plan: Mapping[str, Any],
    cell: Mapping[str, Any],
    state: Mapping[str, Any],
    verdicts: list[Verdict],
    before: list[Verdict] | None,
    judged: Judged,
    replicates: int,
) -> CellResult:
    cls = planned_class(plan, cell["measure"])
    counted = [v for v in verdicts if v.group != CONTROL]
    reasons: dict[str, int] = {}
    for verdict in counted:
        if verdict.reason is not None:
            reasons[verdict.reason] = reasons.get(verdict.reason, 0) + 1
    metrics = metric_results(cls.metrics, verdicts, before, judged, replicates) if verdicts else {}
    return CellResult(
        key=cell["key"],
        arm=cell["arm"],
        measure=cell["measure"],
        title=cls.title,
        component=cls.component,
        paper=cls.paper,
        caution=cls.caution,
        attack=cell["attack"],
        planned=state.get("sequential", {}).get("planned", cell["items"]),
        done=len(counted),
        missing=sum(reasons.values()),
        reasons=reasons,
        reason=state.get("reason") or cell["reason"],
        uninformative=state.get("uninformative"),
        detectable=cell.get("detectable"),
        warnings=state.get("warnings", ()),
        metrics=metrics,
        parameters=cell["parameters"],
    )


def _followed(
    plan: Mapping[str, Any],
    cell: Mapping[str, Any],
    states: Mapping[str, Mapping[str, Any]],
    verdicts: Mapping[str, Sequence[Verdict]],
    compared: str | None,
) -> Followed | None:
    """How a cell was asked sequentially, or the cell that it is compared with; None where both were asked everything.

    Against another arm than its baseline nothing was followed, but what stopped it early did.
    """
    cells = {each["key"]: each for each in plan["cells"]}
    own = states.get(cell["key"], {}).get("sequential")
    key = cell["key"] if own or compared is None else compared
    found = states.get(key, {}).get("sequential")
    if not found:
        return None
    arm = next(arm for arm in plan["arms"] if arm["label"] == cells[key]["arm"])
    whole = next(c["key"] for c in plan["cells"] if _place(c) == _place(cells[key], arm["baseline"]))
    return Followed(
        order=DrawOrder(verdicts[whole], seed=arm["seed"]),
        changes=found["changes"] if own and compared == whole else {},
        margin=plan["spec"]["sequential"]["margin"],
        primaries=len(plan["primary"]),
    )


def _corrected(cells: Sequence[CellResult], primary: Sequence[Mapping[str, Any]]) -> list[CellResult]:
    """Holm over the primaries, Benjamini–Hochberg over everything else."""
    named = {(p["arm"], p["measure"], p["attack"], p["metric"]) for p in primary}
    places: dict[str, list[tuple[int, str]]] = {"primary": [], "exploratory": []}
    for index, cell in enumerate(cells):
        for name, result in cell.metrics.items():
            if result.change is not None and result.change.p is not None:
                family = "primary" if (cell.arm, cell.measure, cell.attack, name) in named else "exploratory"
                places[family].append((index, name))
    adjusted: dict[tuple[int, str], tuple[str, float]] = {}
    for family, correct in (("primary", holm), ("exploratory", benjamini_hochberg)):
        raw = [cells[i].metrics[name].change.p for i, name in places[family]]  # type: ignore[union-attr]
        for place, p in zip(places[family], correct([p for p in raw if p is not None])):
            adjusted[place] = (family, float(p))
    corrected = []
    for index, cell in enumerate(cells):
        metrics = {}
        for name, result in cell.metrics.items():
            family, p_adjusted = adjusted.get((index, name), (result.family, None))
            metrics[name] = replace(result, family=family, p_adjusted=p_adjusted)  # type: ignore[arg-type]
        corrected.append(replace(cell, metrics=metrics))
    return corrected


def _arms(plan: Mapping[str, Any], meta: Mapping[str, Any], store: Store) -> list[ArmResult]:
    seconds: dict[str, float] = {}
    for cell in plan["cells"]:
        seconds[cell["arm"]] = seconds.get(cell["arm"], 0.0) + float(meta.get(f"seconds:{cell['key']}", 0.0))
    arms = []
    for arm in plan["arms"]:
        provenance = meta.get(f"arm:{arm['label']}", {})
        usage = store.usage(provenance["fingerprint"]) if provenance else Usage()
        arms.append(
            ArmResult(**arm, provenance=provenance, seconds=seconds.get(arm["label"], 0.0), usage=usage)
        )
    return arms
