"""Directions in the residual stream, as differences of means.

    r_l = mean over A of h_l − mean over B of h_l          (Arditi et al. 2024, 2406.11717, eq. 2)

``h_l`` is the residual stream after layer l. The refusal direction reads it at the prompt's last token, A being
harmful requests and B harmless ones. Contrastive activation addition (Rimsky et al. 2023, 2312.06681, eq. 1) reads
it at the answer's last token, A and B being two answers to the same prompts.

Shapes: N texts, L layers, T tokens, D hidden units.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trueline.core.errors import InputError
from trueline.models.forward.layers import layers_of, watched
from trueline.models.forward.paths import device_of, unwrap
from trueline.models.local import LocalTarget
from trueline.models.requests import Request

PASS_TOKENS = 4096


def difference_in_means(towards: Tensor, away: Tensor) -> Tensor:
    """mean(towards) − mean(away): [N, ..., D] and [M, ..., D] in, [..., D] out."""
    if not len(towards) or not len(away):
        raise InputError(
            f"a direction needs examples on both sides, but there are {len(towards)} and {len(away)}."
        )
    return towards.mean(dim=0) - away.mean(dim=0)


def last_states(target: LocalTarget, texts: Sequence[Sequence[int]]) -> Tensor:
    """The residual stream after each layer at the last token of each tokenised text: [N, L, D]."""
    return mean_states(target, texts, [len(text) - 1 for text in texts])


def mean_states(target: LocalTarget, texts: Sequence[Sequence[int]], starts: Sequence[int]) -> Tensor:
    """The residual stream after each layer, averaged over each text's tokens from its start on: [N, L, D].

    In fp32, on the CPU; the target's own interventions are in force.
    """
    request = Request(
        source=target.source,
        kind="call",
        payload=lambda model: _mean_states(model, texts, starts),
        interventions=target.interventions,
    )
    states: Tensor = target.engine.submit_now(request).result()
    return states


def _mean_states(model: nn.Module, texts: Sequence[Sequence[int]], starts: Sequence[int]) -> Tensor:
    wanted = tuple(range(len(layers_of(model))))
    found: dict[int, Tensor] = {}
    for rows in _passes([len(text) for text in texts]):
        states = _read(model, [texts[i] for i in rows], wanted)
        for place, i in enumerate(rows):
            found[i] = states[:, place, starts[i] : len(texts[i])].mean(dim=1)
    return torch.stack([found[i] for i in range(len(texts))])


def _passes(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Texts of like length together, at most PASS_TOKENS a pass with their padding (one text at least)."""
    rows: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if rows and lengths[i] * (len(rows) + 1) > PASS_TOKENS:
            yield rows
            rows = []
        rows.append(i)
    if rows:
        yield rows


def _read(model: Any, texts: Sequence[Sequence[int]], wanted: tuple[int, ...]) -> Tensor:
    """What each layer returns: [L, rows, T, D]. Padding stands on the right, where nothing before it sees it."""
    width = max(map(len, texts))
    rows = [[*text, *(text[-1:] * (width - len(text)))] for text in map(list, texts)]
    tokens = torch.tensor(rows, device=device_of(model))
    with torch.no_grad(), watched(model, wanted, stop=True) as kept:
        unwrap(model).base_model(input_ids=tokens, use_cache=False)
    return torch.stack([kept[layer].float().cpu() for layer in wanted])
