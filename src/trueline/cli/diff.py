"""trueline diff."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Detect, Device, DryRun, Dtype, Limit, Model, Out, Seed, StoreURL


def diff(
    base: Model,
    tuned: Model,
    suite: Annotated[str, typer.Option("--suite", help="quick, standard or full.")] = "quick",
    out: Out = Path("runs/diff"),
    store: StoreURL = None,
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
    from trueline.models.model_folder import find_folder
    from trueline.studies.presets import suite as suite_measures
    from trueline.studies.spec import TargetSpec, parse_spec
    from trueline.studies.subjects import is_testbed, testbed_folder

    from .runs import run

    if base == tuned:
        raise InputError(f"BASE and TUNED are both {base!r}; give two models.")
    model, tuned_dtype = tuned, dtype
    if is_testbed(tuned):  # as testbed targets are loaded
        model, tuned_dtype = str(testbed_folder(tuned)[0]), "float32" if dtype == "auto" else dtype
    if not TargetSpec(model=model).is_endpoint:
        find_folder(model)  # now, and not when the base has been measured
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
                {"name": "replace", "label": "tuned", "model": model, **options, "dtype": tuned_dtype},
            ],
            "measures": list(limits),
            "limits": capped,
            "limit": limit,
            "detect": detect,
            "attacks": ["direct"],
            "seeds": [seed],
            "store": store,
        }
    )
    run(spec, out, dry_run=dry_run)
