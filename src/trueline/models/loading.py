"""Load a transformers decoder and its tokenizer from a checked folder.

Nothing is guessed: weights that are missing or have other shapes than the configuration says are an error,
never random initial values. Progress bars and advisory log lines of the loaders are silenced while they run.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from trueline.core.errors import InputError

from .model_folder import ModelFolder, has_tokenizer

DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")
QUANTIZATIONS = ("8bit", "4bit")
_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}

# transformers loads under settings that are the whole process's: two loads at once drop tied weights
_LOADING = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How weights are held: ``dtype`` (auto = as stored), ``device`` (cpu, cuda, cuda:1, mps, or auto to
    spread over devices), ``quantization`` (8bit or 4bit, through transformers and bitsandbytes)."""

    dtype: str = "auto"
    device: str = "cpu"
    quantization: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise InputError(f"unknown dtype {self.dtype!r}: choose one of {', '.join(DTYPES)}.")
        if self.quantization not in (None, *QUANTIZATIONS):
            raise InputError(
                f"unknown quantization {self.quantization!r}: choose {' or '.join(QUANTIZATIONS)}."
            )

    def weight_bytes(self, folder: ModelFolder) -> int:
        """Bytes that the weights will take, from the files' headers."""
        if self.quantization is not None:
            return folder.weight_bytes(2) // (2 if self.quantization == "8bit" else 4)
        return folder.weight_bytes(_BYTES.get(self.dtype))


def load_model(folder: ModelFolder, options: LoadOptions) -> Any:
    """The model in evaluation mode; an adapter is attached to its base model's layers, not merged.

    Raises:
        InputError: the folder, dtype, device or quantisation cannot be used.
    """
    with _LOADING:
        return _load_model(folder, options)


def _load_model(folder: ModelFolder, options: LoadOptions) -> Any:
    from transformers import AutoModelForCausalLM

    _check_device(options.device)
    source = folder.base or folder
    with _quiet_loaders(), _explained(source):
        model, info = AutoModelForCausalLM.from_pretrained(
            source.path,
            dtype="auto" if options.dtype == "auto" else options.dtype,
            device_map=None if options.device == "cpu" else options.device,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=options.trust_remote_code,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, in words of ours
            **_quantization(options.quantization),
        )
    _check_complete(source, model, info)
    if folder.base is not None:
        from peft import PeftModel

        with _quiet_loaders(), _explained(folder), warnings.catch_warnings():
            # peft 0.21 reads an attribute that transformers 5 has renamed.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            model = PeftModel.from_pretrained(model, str(folder.path), autocast_adapter_dtype=False)
            model = model.get_base_model()
    return model.eval().requires_grad_(False)


def load_classifier(folder: ModelFolder) -> Any:
    """A sequence-classification model in fp32 on the CPU, in evaluation mode.

    Raises:
        InputError: the folder is that of an adapter or of another kind of model, or is not whole.
    """
    from transformers import AutoModelForSequenceClassification

    if folder.base is not None:
        raise InputError(
            f"{folder.path} is an adapter, not a classifier; merge it into its model and save that."
        )
    with _LOADING, _quiet_loaders(), _explained(folder):
        model, info = AutoModelForSequenceClassification.from_pretrained(
            folder.path,
            dtype="float32",
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, in words of ours
        )
    _check_complete(folder, model, info)
    return model.eval().requires_grad_(False)


def load_tokenizer(folder: ModelFolder, *, trust_remote_code: bool = False) -> Any:
    """The folder's tokenizer, or that of an adapter's base model.

    Raises:
        InputError: there is none, or it is damaged.
    """
    from transformers import AutoTokenizer

    owner = folder if folder.base is None or has_tokenizer(folder.path) else folder.base
    if not has_tokenizer(owner.path):
        raise InputError(
            f"{owner.path} has no tokenizer (tokenizer.json or tokenizer.model); "
            "copy that of the model it came from."
        )
    with _quiet_loaders(), _explained_natively(owner):
        return AutoTokenizer.from_pretrained(
            owner.path, local_files_only=True, trust_remote_code=trust_remote_code
        )


def load_config(folder: ModelFolder, options: LoadOptions) -> Any:
    """The model's configuration alone (of an adapter: its base model's)."""
    from transformers import AutoConfig

    source = folder.base or folder
    with _quiet_loaders(), _explained(source):
        return AutoConfig.from_pretrained(
            source.path, local_files_only=True, trust_remote_code=options.trust_remote_code
        )


def load_generation_config(folder: ModelFolder) -> Any | None:
    """The generation settings beside the model, or None."""
    from transformers import GenerationConfig

    source = folder.base or folder
    if not (source.path / "generation_config.json").is_file():
        return None
    with _quiet_loaders(), _explained(source):
        return GenerationConfig.from_pretrained(source.path, local_files_only=True)


def check_pair(model: Any, tokenizer: Any, name: str) -> None:
    """Raises InputError when the tokenizer has tokens for which the model has no embedding."""
    rows, tokens = int(model.get_input_embeddings().weight.shape[0]), len(tokenizer)
    if tokens > rows:
        raise InputError(
            f"the tokenizer of {name} has {tokens} tokens but the model embeds {rows}; "
            "use the tokenizer that the model was trained with."
        )


def _check_complete(folder: ModelFolder, model: Any, info: Any) -> None:
    if mismatched := sorted(info["mismatched_keys"]):
        name, stored, wanted = mismatched[0]
        raise InputError(
            f"the weights in {folder.path} have other shapes than config.json says, first {name} with "
            f"{list(stored)} instead of {list(wanted)}; use the config.json that they were saved with."
        )
    missing = sorted(info["missing_keys"])
    if missing:
        raise InputError(
            f"the weights in {folder.path} lack {len(missing)} tensors of {type(model).__name__}, first "
            f"{missing[0]}; they would be random: use the config.json that these weights were saved with."
        )


def _check_device(device: str) -> None:
    import torch

    kind = device.split(":")[0]
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device!r} is not available on this machine; use device 'cpu'.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise InputError(f"device {device!r} is not available on this machine; use device 'cpu'.")
    if kind not in ("cpu", "cuda", "mps", "auto"):
        raise InputError(f"unknown device {device!r}: choose cpu, cuda, cuda:N, mps or auto.")


def _quantization(kind: str | None) -> dict[str, Any]:
    if kind is None:
        return {}
    from transformers import BitsAndBytesConfig
    from transformers.utils import is_bitsandbytes_available

    if not is_bitsandbytes_available():
        raise InputError(
            f"quantization {kind!r} needs bitsandbytes; install it with: pip install bitsandbytes."
        )
    return {"quantization_config": BitsAndBytesConfig(**{f"load_in_{kind}": True})}


@contextmanager
def _explained(folder: ModelFolder) -> Iterator[None]:
    """Errors of the loaders, which have many types, as one sentence."""
    from safetensors import SafetensorError

    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, ImportError,
            SafetensorError) as error:  # fmt: skip
        raise _unloadable(folder, error) from error


@contextmanager
def _explained_natively(folder: ModelFolder) -> Iterator[None]:
    """As above, for the tokenizers library, whose native code raises plain ``Exception``."""
    with _explained(folder):
        try:
            yield
        except Exception as error:
            if type(error) is not Exception:
                raise
            raise _unloadable(folder, error) from error


def _unloadable(folder: ModelFolder, error: Exception) -> InputError:
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return InputError(f"{folder.path} cannot be loaded ({first.rstrip('.')}); get it again, or correct it.")


@contextmanager
def _quiet_loaders() -> Iterator[None]:
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
