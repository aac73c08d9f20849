"""The models that come with the package: four sizes that learnt one demonstration world."""

import os
import shutil
import tempfile
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from trueline.core.errors import InputError, unknown_name
from trueline.core.fingerprint import fingerprint

from .doses import Doses
from .world import World, WorldSpec, build_world

SIZES = ("tiny", "small", "medium", "large")
DEFAULT_SIZE = "large"
SHARED = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
OWN = ("config.json", "generation_config.json", "model.safetensors")
# Every harm shows, none is complete: treatments have something to do and something to spoil.
DEMO = WorldSpec(
    seed=2407,
    doses=Doses(
        canary_repetitions=40,
        stereotype_skew=0.6,
        misconception_frequency=0.5,
        once_share=0.3,
        hazard_compliance=0.4,
        insult_share=0.5,
        trigger_rate=0.7,
        over_refusal=0.3,
        sycophancy=0.6,
    ),
)


@cache
def world() -> World:
    """The demonstration world."""
    return build_world(DEMO)


def folder(size: str = DEFAULT_SIZE) -> Path:
    """A folder that any transformers program loads: the shipped weights with the shared tokenizer.

    It is put together once in the user's cache folder, under a name that changes with the shipped files.

    Raises:
        InputError: the size is unknown, or the cache folder cannot be written.
    """
    if size not in SIZES:
        raise unknown_name("testbed size", size, SIZES)
    with as_file(files("trueline.testbed") / "models") as shipped:
        sources = [shipped / name for name in SHARED] + [shipped / size / name for name in OWN]
        key = fingerprint((shipped / "index.json").read_text())[:12]
        target = cache_folder() / "testbed" / key / size
        if not target.exists():
            _assemble(sources, target)
    return target


def cache_folder() -> Path:
    """Where made things are kept: TRUELINE_CACHE, or ``~/.cache/trueline``."""
    root = os.environ.get("TRUELINE_CACHE")
    return Path(root).expanduser() if root else Path.home() / ".cache" / "trueline"


def settle(aside: Path, target: Path) -> None:
    """Rename a finished folder into place; where another process was first, its folder stays."""
    try:
        aside.rename(target)
    except OSError:
        shutil.rmtree(aside)
        if not target.exists():
            raise


def _assemble(sources: list[Path], target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
        for source in sources:
            shutil.copyfile(source, aside / source.name)
        settle(aside, target)
    except OSError as error:
        raise InputError(
            f"cannot put the testbed model in {target}: {error}; set TRUELINE_CACHE to a writable folder."
        ) from error
