"""trueline measure."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Detect, Device, DryRun, Dtype, Limit, MaxCost, Model, Out, Quantize, Seed, StoreURL


def measure(
    model: Model,
    measures: Annotated[
        list[str], typer.Option("-m", "--measure", help="A measure; may be given several times.")
    ],
    attacks: Annotated[
        list[str] | None, typer.Option("--attack", help="An attack, besides asking directly.")
    ] = None,
    limit: Limit = None,
    detect: Detect = None,
    seed: Seed = 0,
    out: Out = Path("runs/measure"),
    store: StoreURL = None,
    dtype: Dtype = "auto",
    device: Device = "cpu",
    quantize: Quantize = None,
    system_prompt: Annotated[
        str | None, typer.Option("--system-prompt", help="System prompt of the target.")
    ] = None,
    tariff: Annotated[
        str | None,
        typer.Option(
            "--tariff", metavar="IN,OUT", help="An endpoint's price: US dollars a million tokens, in and out."
        ),
    ] = None,
    dry_run: DryRun = False,
    max_cost: MaxCost = None,
) -> None:
    """Measure one model.

    Example: trueline measure testbed -m advbench -m xstest --attack prefill --limit 50
    """
    from trueline.studies.spec import parse_spec, parse_tariff

    from .runs import run

    spec = parse_spec(
        {
            "name": f"measure {model}",
            "targets": [
                {
                    "model": model,
                    "dtype": dtype,
                    "device": device,
                    "quantize": quantize,
                    "system_prompt": system_prompt,
                    "tariff": parse_tariff(tariff) if tariff is not None else None,
                }
            ],
            "measures": measures,
            "attacks": ["direct", *(a for a in attacks or [] if a != "direct")],
            "limit": limit,
            "detect": detect,
            "seeds": [seed],
            "store": store,
        }
    )
    run(spec, out, dry_run=dry_run, max_cost=max_cost)
