"""Find the folder of a model and check it before anything is loaded: what is wrong is said in one sentence.

Weights are read from safetensors only. Pickled weights (``.bin``, ``.pt``, ``.pth``, ``.ckpt``) can run code
when they are opened, and are refused.
"""

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueline.core.errors import InputError

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
INDEX = "model.safetensors.index.json"
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "tekken.json",
)
# What loaders read besides the weights; other tools leave reports and manifests beside a model.
_READ_FILES = frozenset((
    *_TOKENIZER_FILES, "config.json", "generation_config.json", "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json", "merges.txt", "chat_template.jinja", "chat_template.json", ADAPTER_CONFIG,
))  # fmt: skip
_FLOATS = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}
_HUB_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelFolder:
    """A checked folder. ``base`` is the folder of the model that an adapter adapts, else None."""

    path: Path
    weights: tuple[Path, ...]
    config: dict[str, Any]
    base: "ModelFolder | None" = None

    def files(self) -> Iterator[Path]:
        """All files that decide what the model answers, the base model's first, in a fixed order."""
        if self.base is not None:
            yield from self.base.files()
        read = sorted(p for p in self.path.iterdir() if p.name in _READ_FILES or p.suffix == ".py")
        yield from (*read, *self.weights)

    def weight_bytes(self, bytes_per_value: int | None) -> int:
        """Bytes that the weights take in memory: as stored, or with so many bytes for every value."""
        total = 0 if self.base is None else self.base.weight_bytes(bytes_per_value)
        for file in self.weights:
            for tensor in _header(file).values():
                start, end = tensor["data_offsets"]
                values = 1
                for size in tensor["shape"]:
                    values *= size
                total += end - start if bytes_per_value is None else values * bytes_per_value
        return total

    def stored_dtype(self) -> str:
        """The widest floating-point type among the stored weights."""
        stored = {tensor["dtype"] for file in self.weights for tensor in _header(file).values()}
        return next((name for code, name in _FLOATS.items() if code in stored), "float32")


def find_folder(name: str, *, trust_remote_code: bool = False) -> ModelFolder:
    """The checked folder of a model, or of a hub name (downloaded by the ordinary client, without pickled
    files).

    Raises:
        InputError: there is no such folder, or it is not a whole, safe model.
    """
    path = Path(name).expanduser()
    if not path.is_dir():
        if path.exists():
            raise InputError(
                f"{name} is a file, not a model folder; give the folder that holds its config.json."
            )
        if name.count("/") > 1 or name.startswith((".", "/", "~")) or name.endswith("/"):
            raise InputError(
                f"there is no folder {name}; give an existing model folder or a hub name (owner/name)."
            )
        path = _download(name, trust_remote_code=trust_remote_code)
    return check_folder(path, trust_remote_code=trust_remote_code)


def check_folder(path: Path, *, trust_remote_code: bool = False) -> ModelFolder:
    """What a folder holds, checked."""
    if (path / ADAPTER_CONFIG).is_file():
        return _check_adapter(path, trust_remote_code=trust_remote_code)
    if not (path / "config.json").is_file():
        raise InputError(
            f"{path} has no config.json, so it is not a transformers model; give the folder that has it."
        )
    config = _read_json(path / "config.json")
    if "auto_map" in config and not trust_remote_code:
        raise InputError(
            f"{path} needs code of its own (auto_map in config.json), which is not run unless asked; "
            "read that code, then pass trust_remote_code=True, or choose a model that transformers knows."
        )
    weights = _weights(path)
    for file in weights:
        _header(file)
    return ModelFolder(path=path, weights=tuple(weights), config=config)


def has_tokenizer(path: Path) -> bool:
    """Whether the folder holds a tokenizer's files."""
    return any((path / name).is_file() for name in _TOKENIZER_FILES)


def _check_adapter(path: Path, *, trust_remote_code: bool) -> ModelFolder:
    config = _read_json(path / ADAPTER_CONFIG)
    weights = path / ADAPTER_WEIGHTS
    if not weights.is_file():
        raise _no_weights(path, ADAPTER_WEIGHTS)
    _header(weights)
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise InputError(
            f"{path / ADAPTER_CONFIG} names no base_model_name_or_path; add the base model's folder."
        )
    if (path / base).is_dir():
        base = str(path / base)
    found = find_folder(base, trust_remote_code=trust_remote_code)
    return ModelFolder(path=path, weights=(weights,), config=config, base=found)


def _weights(path: Path) -> list[Path]:
    if (path / INDEX).is_file():
        shards = _read_json(path / INDEX).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise InputError(f"{path / INDEX} has no weight_map; download the model again.")
        files = [path / str(shard) for shard in sorted(set(shards.values()))]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise InputError(
                f"{path} lacks {len(missing)} of {len(files)} weight files, first {missing[0]}; "
                "download the model again."
            )
        return files
    if (path / "model.safetensors").is_file():
        return [path / "model.safetensors"]
    raise _no_weights(path, "model.safetensors")


def _no_weights(path: Path, wanted: str) -> InputError:
    pickled = sorted(file.name for file in path.iterdir() if file.suffix in _PICKLED)
    if pickled:
        return InputError(
            f"{path} has pickled weights ({pickled[0]}), which can run code when opened and are never "
            "loaded; convert them with save_pretrained(safe_serialization=True) on a machine you can lose."
        )
    return InputError(f"{path} has no weights ({wanted}); download or save the model again.")


def _header(file: Path) -> dict[str, Any]:
    """The tensors of a whole safetensors file (name -> dtype, shape, data_offsets), or InputError."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length)) if length < size else None
        if not isinstance(header, dict):
            raise ValueError("no header")
        header.pop("__metadata__", None)
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    except (OSError, struct.error, ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"{file} is not a whole safetensors file (its header is damaged); get it again."
        ) from error
    if size != 8 + length + end:
        raise InputError(
            f"{file} is truncated or damaged: it has {size} bytes, its "
            f"header says {8 + length + end}; get it again."
        )
    return header


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file} is not readable JSON ({error}); download or save the model again."
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{file} holds a {type(content).__name__}, not a JSON object; save the model again.")
    return content


def _download(name: str, *, trust_remote_code: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = [*_HUB_FILES, "*.py"] if trust_remote_code else _HUB_FILES
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        offline = " (offline)" if os.environ.get("HF_HUB_OFFLINE") else ""
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"there is no folder {name}, and the hub{offline} did not give a model of that name ({reason}); "
            "give an existing model folder or a hub name (owner/name)."
        ) from error
