"""What a study may take, target by target, before it is run: requests, tokens in and out, time, money.

Upper bounds where nothing is measured yet: every answer as long as it may be, no request shared between measures.
A local model's time is 2 FLOPs a parameter and token at the device's assumed speed; an endpoint's is that of the
probe's one answer of up to 16 tokens, scaled to the answers' length, with as many requests at once as allowed; a
recorded answer takes none. Training comes on top. A judge that asks a model is a target like any other: one request
for each answer it judges, with the request, the answer and its rubric to read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from trueline.core.protocols import Target

Kind = Literal["local", "endpoint", "recorded"]
# Effective forward speed in FLOP/s, for planning only: two CPU cores; one data-centre card.
ASSUMED_SPEED: Mapping[str, float] = {"cpu": 2e10, "cuda": 5e13, "mps": 1e12}
PROBE_TOKENS = 16
RUBRIC_TOKENS = 400  # a judge's instructions, around what it judges
JUDGEMENT_TOKENS = 256  # its reply


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one target may be asked. ``seconds`` and ``dollars`` are None where nobody can tell."""

    target: str
    kind: Kind
    requests: int = 0
    prompt_tokens: int = 0
    max_tokens: int = 0
    seconds: float | None = None
    dollars: float | None = None

    def __add__(self, other: "Price") -> "Price":
        return replace(
            self,
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            max_tokens=self.max_tokens + other.max_tokens,
            seconds=_sum(self.seconds, other.seconds),
            dollars=_sum(self.dollars, other.dollars),
        )


def price(name: str, target: Target, *, requests: int, prompt_tokens: int, max_tokens: int) -> Price:
    """The price of so many requests to a target."""
    described = target.describe()
    kind = kind_of(described)
    tariff = described.get("tariff")
    dollars = None if kind == "endpoint" else 0.0
    if tariff is not None:
        dollars = (prompt_tokens * tariff["prompt"] + max_tokens * tariff["completion"]) / 1e6
    return Price(
        target=name,
        kind=kind,
        requests=requests,
        prompt_tokens=prompt_tokens,
        max_tokens=max_tokens,
        seconds=_seconds(kind, described, requests, prompt_tokens, max_tokens),
        dollars=dollars,
    )


def judging(name: str, judge: Any, *, requests: int, prompt_tokens: int, max_tokens: int) -> list[Price]:
    """The prices of the models that a judge, or each member of an ensemble, asks about so many answers."""
    if isinstance(target := getattr(judge, "target", None), Target):
        return [
            price(
                f"{name}: {judge.name} by {target.name}",
                target,
                requests=requests,
                prompt_tokens=prompt_tokens + max_tokens + requests * RUBRIC_TOKENS,
                max_tokens=requests * JUDGEMENT_TOKENS,
            )
        ]
    sizes = {"requests": requests, "prompt_tokens": prompt_tokens, "max_tokens": max_tokens}
    return [each for member in getattr(judge, "members", ()) for each in judging(name, member, **sizes)]


def kind_of(described: Mapping[str, Any]) -> Kind:
    """What kind of target a description is of."""
    kind = described.get("kind")
    return kind if kind in ("endpoint", "recorded") else "local"


def in_all(prices: Iterable[Price]) -> list[Price]:
    """One price a target."""
    found: dict[str, Price] = {}
    for each in prices:
        found[each.target] = found[each.target] + each if each.target in found else each
    return list(found.values())


def _seconds(
    kind: Kind, described: Mapping[str, Any], requests: int, prompt_tokens: int, max_tokens: int
) -> float | None:
    if kind == "recorded" or not requests:
        return 0.0
    if kind == "endpoint":
        probe = described.get("probe seconds")
        if probe is None:
            return None
        rounds = max(requests, max_tokens / PROBE_TOKENS) / int(described["concurrency"])
        return float(probe) * rounds
    parameters = float(described.get("parameters") or 0)
    speed = ASSUMED_SPEED.get(str(described.get("device") or "cpu").partition(":")[0], ASSUMED_SPEED["cpu"])
    return 2 * parameters * (prompt_tokens + max_tokens) / speed


def _sum(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second
