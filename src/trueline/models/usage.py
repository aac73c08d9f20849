"""What local models have spent: tokens, seconds, floating-point operations."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Totals.

    ``prompt_tokens`` are those read (a prompt once, however many samples), ``generated_tokens`` those drawn,
    ``scored_tokens`` those computed to score branches, padding included. ``seconds`` are those in which a
    model was at work, ``flops`` 2 · parameters · tokens of forward passes (attention terms not added),
    ``loads`` how often weights were read into memory.
    """

    prompt_tokens: int = 0
    generated_tokens: int = 0
    scored_tokens: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    batches: int = 0
    loads: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(**{f.name: getattr(self, f.name) - getattr(other, f.name) for f in fields(self)})
