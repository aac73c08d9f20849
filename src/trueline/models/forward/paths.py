"""Which path a model allows, tree or flat, and how its head's output becomes logits: found out once a model.

The configuration says what is known to fail (recurrent layers, ALiBi, chunked or column-counted local
attention); a tiny probe then compares both paths, so that a model family we do not know is never silently
wrong. The probe is shorter than most sliding windows: those rest on ``layer_types`` and ``sliding_window``
meaning what transformers means by them.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from trueline.core.errors import InputError
from trueline.models.trees import Tree

from .block_attention import in_blocks
from .fused_body import can_fuse, fused_states
from .heads import Head, LogitScaling, at_least_fp32
from .last_layer import columns_read, only_where_read
from .masks import Layers, layer_kinds, tree_masks
from .packing import Batch, Piece, join, lay_out, pack
from .shared_prefix import Prefix, read_prefix, without

_SERVED = ("sdpa", "eager")
_UNSERVED = (TypeError, ValueError, RuntimeError, AttributeError, LookupError)  # what a model refuses with
_TOLERANCE = {
    torch.float64: 1e-5,
    torch.float32: 1e-4,
}  # relative; eager softmax is fp32 even in an fp64 model
_PROBE = Tree(trunk=(3, 5, 7, 4, 6), branches=((5, 9, 3, 8), (2, 4, 9), (7, 8, 6)))
_NEIGHBOUR = Tree(trunk=(4, 8, 2), branches=((6, 3, 9, 5),))  # in the same row: neither may see the other


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was found out about a model: the path and why, its layer kinds where a tree is exact, whether trees may
    continue a beginning that was read before (``shared_prefix``), whether a row can be attended block by block
    (``block_attention``), and whether its layers can be run fused (``fused_body``)."""

    path: Literal["tree", "flat"]
    reason: str
    layers: Layers | None
    prefixes: bool = False
    joins: bool = False
    fuses: bool = False


_paths: WeakKeyDictionary[nn.Module, dict[object, Known]] = WeakKeyDictionary()
_scalings: WeakKeyDictionary[nn.Module, LogitScaling] = WeakKeyDictionary()


def unwrap(model: Any) -> Any:
    """The transformers model itself: adapters stay active, since peft puts them inside its layers."""
    if hasattr(model, "get_base_model"):
        config = getattr(model, "active_peft_config", None)
        if getattr(config, "is_prompt_learning", False):
            raise InputError(
                "branches cannot be scored under a prompt-learning adapter, whose virtual tokens are added "
                "outside the model; use LoRA or another adapter that lives in the layers."
            )
        return model.get_base_model()
    if not hasattr(model, "base_model") or not hasattr(model, "config"):
        raise InputError(
            f"a model of type {type(model).__name__} cannot be scored; give a transformers model or a peft "
            "model around one, and wrap a BranchScorer, not the model, for data parallelism."
        )
    return model


def body_of(model: nn.Module) -> nn.Module:
    """The decoder without its head."""
    body: nn.Module = unwrap(model).base_model
    return body


def device_of(model: nn.Module) -> torch.device:
    """Where token ids go."""
    device: torch.device = unwrap(model).get_input_embeddings().weight.device
    return device


def known(model: nn.Module) -> Known:
    """The path of a model and why; probed once for each attention implementation and dtype."""
    inner = unwrap(model)
    key = (inner.config._attn_implementation, inner.dtype)
    found = _paths.setdefault(inner, {})
    if key not in found:
        found[key] = _find_path(inner)
    return found[key]


def head_of(model: nn.Module) -> Head:
    """The head with the scaling that reproduces the model's own logits; InputError when there is none."""
    inner = unwrap(model)
    module = inner.get_output_embeddings()
    if module is None:
        raise InputError(
            f"{type(inner).__name__} has no language-model head, so it has no log-probabilities; "
            "load it with AutoModelForCausalLM."
        )
    if inner not in _scalings:
        _scalings[inner] = _find_scaling(inner, module)
    vocabulary = int(inner.config.get_text_config().vocab_size)
    return Head(module=module, scaling=_scalings[inner], vocabulary=vocabulary)


def _find_path(model: Any) -> Known:
    config = model.config.get_text_config()
    implementation = model.config._attn_implementation
    layers = layer_kinds(config)
    if isinstance(layers, str):
        return Known(path="flat", reason=f"flat: {layers}", layers=None)
    if implementation not in _SERVED:
        why = f"flat: attention {implementation!r} takes no 4-D mask (tree masks need {' or '.join(_SERVED)})"
        return Known(path="flat", reason=why, layers=None)
    if "position_ids" not in inspect.signature(model.base_model.forward).parameters:
        return Known(path="flat", reason="flat: its forward takes no position_ids", layers=None)
    pieces = [lay_out(tree, i, shared=True)[0] for i, tree in enumerate((_PROBE, _NEIGHBOUR))]
    tolerance = _TOLERANCE.get(model.dtype, 5e-2)
    try:
        gap = _probe_gap(model, pack(pieces, budget=64, masked=True), layers)
    except _UNSERVED as error:
        return Known(path="flat", reason=f"flat: it refuses a tree mask ({error})", layers=None)
    if not gap <= tolerance:
        return Known(
            path="flat", reason=f"flat: on a probe, its tree differed by {gap:.1g} (relative)", layers=None
        )
    kinds = ", ".join(kind if w is None else f"{kind} ({w})" for kind, w in layers.windows.items())
    reason = f"tree: {implementation} with a mask for {kinds}; equal to separate rows on a probe to {gap:.0e}"
    joins = False
    if implementation == "sdpa" and getattr(model, "_supports_attention_backend", False):
        with suppress(*_UNSERVED):
            joins = _probe_gap(model, join(pieces, budget=64), layers) <= tolerance
    prefixes = _continues_prefixes(model, layers)
    fuses = implementation == "sdpa" and layers.narrowest is None and _runs_fused(model, pieces, layers)
    return Known(path="tree", reason=reason, layers=layers, prefixes=prefixes, joins=joins, fuses=fuses)


def _probe_gap(model: Any, batches: Sequence[Batch], layers: Layers) -> float:
    """Largest difference of hidden states between trees in batches and their separate rows, over their largest
    value."""
    found: dict[tuple[int, int], Tensor] = {}
    gap = size = 0.0
    with _quiet(model):
        for batch in batches:
            for states, row in zip(run_body(model, batch, layers), batch.rows):
                start = 0
                for piece in row:
                    for read in piece.reads:
                        found[read.tree, read.branch] = states[[start + column for column in read.columns]]
                    start += piece.length
        for index, tree in enumerate((_PROBE, _NEIGHBOUR)):
            for piece in lay_out(tree, index, shared=False):
                (alone,) = pack([piece], budget=64, masked=False)
                flat = run_body(model, alone, None)[0]
                for read in piece.reads:
                    expected = flat[list(read.columns)]
                    gap = max(gap, float((found[read.tree, read.branch] - expected).abs().max()))
                    size = max(size, float(expected.abs().max()))
    return gap / size if size else float("nan")


def _runs_fused(model: Any, pieces: Sequence[Piece], layers: Layers) -> bool:
    """Whether fused layers give the hidden states of the model's own."""
    if not can_fuse(model.base_model):
        return False
    batches = [*join(pieces, budget=64), *pack(pieces, budget=64, masked=True)]
    batches += pack([piece for tree in (_PROBE, _NEIGHBOUR) for piece in lay_out(tree, 0, shared=False)],
        budget=64, masked=False)  # fmt: skip
    with _quiet(model), torch.autocast("cpu", enabled=False), suppress(*_UNSERVED):
        for batch in batches:
            expected = run_body(model, batch, layers).flatten(0, 1)[columns_read(batch)]
            gap = (_run_fused(model, batch, layers) - expected).abs().max()
            if not gap <= _TOLERANCE[torch.float32] * expected.abs().max():
                return False
        return True
    return False


def _continues_prefixes(model: Any, layers: Layers) -> bool:
    """Whether the rest of a tree, in two rows after its first tokens, has the states of the whole tree."""
    at = 3
    with _quiet(model):
        (whole,) = pack(lay_out(_PROBE, 0, shared=True), budget=64, masked=True)
        rest = lay_out(without(_PROBE, at), 0, shared=True)
        rows = Batch(width=rest[0].length, rows=(tuple(rest), tuple(rest)), masked=True)
        try:
            prefix = read_prefix(model, _PROBE.trunk[:at], device_of(model))
            found = run_body(model, rows, layers, prefix)
        except _UNSERVED:
            return False  # a cache of another form: trees are scored without one
        expected = run_body(model, whole, layers)[0, at:]
        gap = float((found - expected).abs().max()) / float(expected.abs().max())
    return gap <= _TOLERANCE.get(model.dtype, 5e-2)


def _find_scaling(model: Any, module: nn.Module) -> LogitScaling:
    config = model.config.get_text_config()
    with _quiet(model):
        tokens = torch.tensor([_PROBE.trunk], device=device_of(model))
        hidden = model.base_model(input_ids=tokens, use_cache=False)[0][0]
        expected = at_least_fp32(model(input_ids=tokens, use_cache=False).logits[0])
        raw = at_least_fp32(module(hidden))
        tolerance = _TOLERANCE.get(model.dtype, 5e-2) * float(expected.abs().max())
        for scaling in _candidates(config):
            if float((scaling(raw) - expected).abs().max()) <= tolerance:
                return scaling
    raise InputError(
        f"the logits of {type(model).__name__} are not its head's output under any scaling known here "
        "(final_logit_softcapping, logits_soft_cap, logit_scale, logits_scaling, lm_head_multiplier), so its "
        "log-probabilities would be wrong; this model cannot be scored."
    )


def _candidates(config: Any) -> Iterator[LogitScaling]:
    """The scalings that a configuration may mean, most explicit first; some names multiply in one family and
    divide in another, which the probe decides."""
    for name in ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap"):
        if cap := getattr(config, name, None):
            yield LogitScaling(cap=float(cap))
    for name in ("logit_scale", "logits_scaling", "lm_head_multiplier"):
        if scale := getattr(config, name, None):
            yield LogitScaling(scale=float(scale))
            yield LogitScaling(scale=1 / float(scale))
    yield LogitScaling()


def run_read(model: nn.Module, batch: Batch, layers: Layers | None, prefix: Prefix | None = None) -> Tensor:
    """Last hidden states [P, D] of a batch where it is read, in the order of ``columns_read``."""
    plain = prefix is None and not torch.is_autocast_enabled("cpu")
    if plain and known(model).fuses and can_fuse(body_of(model)):
        return _run_fused(model, batch, layers)
    states = run_body(model, batch, layers, prefix).flatten(0, 1)
    return states.index_select(0, torch.tensor(columns_read(batch), device=states.device))


def _run_fused(model: nn.Module, batch: Batch, layers: Layers | None) -> Tensor:
    inputs = _inputs(model, batch, layers, None)
    body, mask = body_of(model), inputs.get("attention_mask")
    return fused_states(body, batch, inputs["input_ids"], inputs.get("position_ids"), mask)


def run_body(model: nn.Module, batch: Batch, layers: Layers | None, prefix: Prefix | None = None) -> Tensor:
    """Last hidden states [R, L, D] of a batch, whose rows all continue ``prefix``. Padding repeats a token of
    its row; nothing sees it."""
    inner = unwrap(model)
    inputs = _inputs(model, batch, layers, prefix) | {"use_cache": prefix is not None}
    if prefix is not None:
        inputs["past_key_values"] = prefix.cache()
    attention = in_blocks(inner, batch) if batch.joined else nullcontext()
    with only_where_read(inner, batch, device_of(model)), attention:
        output: Tensor = inner.base_model(**inputs)[0]
    return output


def _inputs(
    model: nn.Module, batch: Batch, layers: Layers | None, prefix: Prefix | None
) -> dict[str, Tensor | Any]:
    """Token ids, and where they are needed positions and masks."""
    device, before = device_of(model), 0 if prefix is None else prefix.length
    rows = [[token for piece in row for token in piece.tokens()] for row in batch.rows]
    tokens = torch.tensor([row + row[:1] * (batch.width - len(row)) for row in rows], device=device)
    inputs: dict[str, Any] = {"input_ids": tokens}
    if batch.joined or (batch.masked and layers is not None):
        inputs["position_ids"] = _positions(batch, device) + before
    if batch.masked and layers is not None:
        dtype = unwrap(model).dtype
        inputs["attention_mask"] = tree_masks(batch, layers, device=device, dtype=dtype, before=before)
    return inputs


def _positions(batch: Batch, device: torch.device) -> Tensor:
    """Position ids of rows, 0 where they are padded: [R, L]."""
    places = [[place for piece in row for place in piece.positions()] for row in batch.rows]
    return torch.tensor([row + [0] * (batch.width - len(row)) for row in places], device=device)


@contextmanager
def _quiet(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, each module's own mode restored afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
