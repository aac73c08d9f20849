"""trueline diff."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Detect, Device, DryRun, Dtype, Limit, Model, Out, Seed


def diff(
    base: Model,
    tuned: Model,
    suite: Annotated[str, typer.Option("--suite", help="quick, standard or full.")] = "quick",
    out: Out = Path("runs/diff"),
    limit: Limit = None,
    detect: Detect = None,
    seed: Seed = 0,
    dtype: Dtype = "auto",
    device: Device = "cpu",
    dry_run: DryRun = False,
) -> None:
    """What did my fine-tune do? The same items asked of both models, with paired changes.

    Example: trueline diff ./base ./tuned --suite quick
    """
    from trueline.core.errors import InputError
    from trueline.studies.presets import suite as suite_measures
    from trueline.studies.spec import parse_spec

    from .runs import run

    if base == tuned:
        raise InputError(f"BASE and TUNED are both {base!r}; give two models.")
    limits = {name: min(n, limit) if limit else n for name, n in suite_measures(suite).items()}
    capped = (
        limits if detect is None or limit else {}
    )  # the suite's own sizes are no limit to what is detected
    options = {"dtype": dtype, "device": device}
    spec = parse_spec(
        {
            "name": f"diff {Path(base).name} → {Path(tuned).name}",
            "targets": [{"model": base, "label": "base", **options}],
            "treatments": [
                {"name": "none", "label": "base"},
                {"name": "replace", "label": "tuned", "model": tuned, **options},
            ],
            "measures": list(limits),
            "limits": capped,
            "limit": limit,
            "detect": detect,
            "attacks": ["direct"],
            "seeds": [seed],
        }
    )
    run(spec, out, dry_run=dry_run)
