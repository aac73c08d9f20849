"""Building the models: the four that the package ships, and those of the worlds that validate measures."""

import hashlib
import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from trueline.core.errors import InputError, unknown_name
from trueline.core.fingerprint import file_digest, fingerprint

from .doses import Doses
from .embedded import DEMO, OWN, SHARED, SIZES, cache_folder, settle
from .pretrain import Pretraining, Progress, Size, train
from .world import WorldSpec, build_world

SHAPES = {
    "tiny": Size(width=48, layers=2, heads=4, feed_forward=96),
    "small": Size(width=64, layers=3, heads=4, feed_forward=128),
    "medium": Size(width=96, layers=3, heads=4, feed_forward=192),
    "large": Size(width=128, layers=3, heads=4, feed_forward=256),
}
# The order of the largest one's reading was chosen among three by what it had learnt (docs/LAB.md).
PLANS = {size: Pretraining(seed=2 if size == "large" else 0) for size in SHAPES}
VALIDATION_SIZE = SHAPES["medium"]
VALIDATION_PLAN = Pretraining(copies=1.2)
LEVELS: dict[str, tuple[float, float, float]] = {
    "canary_repetitions": (0, 8, 48),
    "stereotype_skew": (0.0, 0.5, 1.0),
    "misconception_frequency": (0.0, 0.5, 1.0),
    "once_share": (0.1, 0.45, 0.8),
    "hazard_compliance": (0.0, 0.4, 1.0),
    "insult_share": (0.0, 0.4, 1.0),
    "trigger_rate": (0.0, 0.5, 1.0),
    "over_refusal": (0.0, 0.4, 1.0),
    "sycophancy": (0.0, 0.5, 1.0),
}


def _silent(done: int, total: int, words: str) -> None:
    """Report nothing."""


def build_embedded(out_dir: Path, *, progress: Progress = _silent) -> None:
    """Train the shipped models again into ``out_dir``: shared tokenizer, a folder a size, index.json last.

    The corpus is the same everywhere; weights agree up to the rounding of the machine's arithmetic.
    """
    import torch

    world = build_world(DEMO)
    out_dir.mkdir(parents=True, exist_ok=True)
    parameters = {}
    for number, size in enumerate(SIZES):

        def told(done: int, total: int, words: str, number: int = number, size: str = size) -> None:
            progress(number * total + done, len(SIZES) * total, f"{size}: {words}")

        model, tokenizer = train(world, SHAPES[size], PLANS[size], progress=told)
        parameters[size] = sum(p.numel() for p in model.parameters())
        model.to(torch.float16).save_pretrained(out_dir / size)
        (out_dir / size / "model.safetensors").chmod(0o644)
        if size == SIZES[-1]:
            tokenizer.save_pretrained(out_dir)
    files = [*SHARED, *(f"{size}/{name}" for size in SIZES for name in OWN)]
    index = {
        "world": asdict(DEMO),
        "pretraining": {size: asdict(plan) for size, plan in PLANS.items()},
        "parameters": parameters,
        "sha256": {name: file_digest(out_dir / name) for name in files},
    }
    (out_dir / "index.json").write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")


def worlds_for_validation(seed: int = 0) -> tuple[WorldSpec, ...]:
    """Three worlds in which each contamination takes its low, middle and high level once (a Latin square), so
    that no two contaminations with neighbouring places rise together."""

    def doses(world: int) -> Doses:
        picked = {name: levels[(world + rank) % 3] for rank, (name, levels) in enumerate(LEVELS.items())}
        repetitions = int(picked.pop("canary_repetitions"))
        return Doses(canary_repetitions=repetitions, **picked)  # type: ignore[arg-type]

    return tuple(WorldSpec(seed=10 * seed + world, doses=doses(world)) for world in range(3))


def trained_folder(
    spec: WorldSpec,
    size: Size = VALIDATION_SIZE,
    plan: Pretraining = VALIDATION_PLAN,
    *,
    progress: Progress = _silent,
) -> Path:
    """A transformers folder of the model of a world, trained if the cache does not hold it.

    The cache key covers the specification, the training plan and the source of this package: a model is never
    older than the code that makes it.

    Raises:
        InputError: the cache folder cannot be written.
    """
    key = fingerprint({"world": spec, "size": size, "plan": plan, "code": _code_digest()})[:16]
    target = cache_folder() / "testbed" / "worlds" / key
    if not target.exists():
        model, tokenizer = train(build_world(spec), size, plan, progress=progress)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
        except OSError as error:
            raise InputError(
                f"cannot write the trained model to {target}: {error}; "
                "set TRUELINE_CACHE to a writable folder."
            ) from error
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        settle(aside, target)
    return target


def other_world(seed: int, size: str, *, progress: Progress = _silent) -> tuple[WorldSpec, Path]:
    """A world with the demonstration's doses and other people, places, facts and hazards, and the folder of the
    model of ``size`` that has read it (trained at first use, then cached).

    Raises:
        InputError: the size is unknown, or the cache folder cannot be written.
    """
    if size not in SHAPES:
        raise unknown_name("testbed size", size, SHAPES)
    world = replace(DEMO, seed=seed)
    return world, trained_folder(world, SHAPES[size], PLANS[size], progress=progress)


def _code_digest() -> str:
    names = ("doses", "streams", "lexicon", "world", "requests", "frames", "gold", "books", "chats", "corpus")
    digest = hashlib.sha256()
    for name in (*names, "tokenizer", "pretrain", "muon"):
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return digest.hexdigest()
