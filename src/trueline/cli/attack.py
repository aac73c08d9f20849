"""trueline attack."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Device, Dtype, Model


def attack(
    model: Model,
    name: Annotated[str, typer.Option("--with", help="An attack, see trueline list attacks.")],
    requests: Annotated[
        Path, typer.Option("--requests", help="Requests: one a line, or JSONL with a 'prompt' field.")
    ],
    queries: Annotated[int, typer.Option("--queries", min=1, help="Attempts allowed a request.")] = 1,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Tokens an answer.")] = 128,
    out: Annotated[Path | None, typer.Option("--out", help="Write the attempts as JSONL here.")] = None,
    dtype: Dtype = "auto",
    device: Device = "cpu",
) -> None:
    """Attack your own requests and print what came back, with the refusal patterns' verdict.

    Example: trueline attack testbed --with prefill --requests requests.txt
    """
    from trueline.studies.attacking import attack_requests, read_requests
    from trueline.studies.spec import TargetSpec

    rows = attack_requests(
        TargetSpec(model=model, dtype=dtype, device=device),
        name,
        read_requests(requests),
        queries,
        max_tokens,
    )
    if out is not None:
        import json

        out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    for row in rows:
        mark = {1.0: "refused", 0.0: "not refused"}.get(row["refused"], f"no verdict ({row['reason']})")
        typer.echo(f"{mark}: {row['request']!r} -> {row['answer']!r}")
    refused = sum(row["refused"] == 1.0 for row in rows)
    typer.echo(f"{refused} of {len(rows)} attempts refused.")
