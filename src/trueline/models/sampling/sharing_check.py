"""Whether a model can sample over shared prompts, found out once on the model itself.

The configuration says what cannot be split (recurrent layers, ALiBi, chunked attention); a probe then
compares a few shared steps with ordinary forward passes, so that a family we do not know is never silently
wrong.
"""

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from trueline.models.forward.masks import layer_kinds
from trueline.models.forward.paths import device_of, unwrap

from .fused_step import can_step, fused_step
from .prefix_attention import sharing
from .prefix_cache import PrefixCache

_TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-3}  # relative to the largest logit; half precision: 0.1
_FUSED = 1e-4  # the same of a fused step, which is fp32 only
_PROMPTS = ((3, 5, 7, 4, 6), (2, 9, 8))
_ROWS = ((0, (4, 8)), (1, (5, 3)), (0, (9, 2)))  # (prompt, tokens fed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shareable:
    """Whether prompts can be shared, why, up to which sequence length, what a cached token takes, and whether a step
    can be run fused (``fused_step``)."""

    possible: bool
    reason: str
    window: int | None = None
    bytes_per_token: int = 0
    fused: bool = False


_known: WeakKeyDictionary[nn.Module, dict[object, Shareable]] = WeakKeyDictionary()


def shareable(model: nn.Module) -> Shareable:
    """What was found out about a model (in evaluation mode); probed once for each attention and dtype."""
    inner = unwrap(model)
    found = _known.setdefault(inner, {})
    key = (inner.config._attn_implementation, inner.dtype)
    if key not in found:
        found[key] = _find_out(inner)
    return found[key]


def _find_out(model: Any) -> Shareable:
    layers = layer_kinds(model.config.get_text_config())
    if isinstance(layers, str):
        return Shareable(possible=False, reason=layers)
    if not getattr(model, "_supports_attention_backend", False):
        return Shareable(possible=False, reason=f"the attention of {type(model).__name__} cannot be replaced")
    try:
        gap, fused, size = _probe_gap(model)
    except (TypeError, ValueError, RuntimeError, AttributeError, LookupError) as error:
        return Shareable(possible=False, reason=f"it refuses a shared prompt ({error})")
    if not gap <= _TOLERANCE.get(model.dtype, 0.1):
        return Shareable(
            possible=False, reason=f"on a probe, a shared prompt changed its logits by {gap:.1g}"
        )
    windows = [window for window in layers.windows.values() if window is not None]
    return Shareable(
        possible=True,
        reason=f"equal to ordinary passes on a probe to {gap:.0e}",
        window=min(windows, default=None),
        bytes_per_token=size,
        fused=fused <= _FUSED,
    )


def _probe_gap(model: Any) -> tuple[float, float, int]:
    """Largest difference of logits over their largest value, between a fused step and an ordinary one too (infinite
    where there is none), and the bytes that a cached token takes."""
    device = device_of(model)
    cache = PrefixCache()
    for place, prompt in enumerate(_PROMPTS):
        computed = DynamicCache()
        tokens = torch.tensor([prompt], device=device)
        last = torch.tensor([len(prompt) - 1], device=device)
        model(input_ids=tokens, past_key_values=computed, use_cache=True, logits_to_keep=last)
        cache.place_prompts([place], [len(prompt)], computed)
    bytes_per_token = sum(t[0, :, 0].nbytes for layer in cache.layers for t in layer.prompt)
    gap = largest = apart = 0.0
    fuses = can_step(model)
    rows: list[int] = []
    for step in (0, 1):
        # The last row starts a step later than the others, as a refilled one does.
        new = [n for n in range(len(_ROWS)) if n not in rows and n < len(_ROWS) - 1 + step]
        cache.open_rows(new, [_ROWS[n][0] for n in new])
        rows += new
        fed = [step if n < len(_ROWS) - 1 else step - 1 for n in rows]
        next_tokens = [_ROWS[n][1][at] for n, at in zip(rows, fed)]
        places = [len(_PROMPTS[_ROWS[n][0]]) + at for n, at in zip(rows, fed)]
        ids, at_places = torch.tensor(next_tokens, device=device), torch.tensor(places, device=device)
        with sharing(model, cache):
            logits: Tensor = model(
                input_ids=ids[:, None],
                position_ids=at_places[:, None],
                past_key_values=cache,
                use_cache=True,
            ).logits[:, 0]
            if fuses:
                fused = fused_step(model, cache, ids, at_places)
                apart = max(apart, float((fused - logits).abs().max()))
        for row, at, got in zip(rows, fed, logits):
            group, tail = _ROWS[row]
            whole = torch.tensor([[*_PROMPTS[group], *tail[: at + 1]]], device=device)
            expected = model(input_ids=whole, use_cache=False).logits[0, -1]
            gap = max(gap, float((got.float() - expected.float()).abs().max()))
            largest = max(largest, float(expected.abs().max()))
    if not largest:
        return float("nan"), float("nan"), bytes_per_token
    return gap / largest, apart / largest if fuses else float("inf"), bytes_per_token
