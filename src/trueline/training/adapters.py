"""Low-rank adapters through peft."""

from typing import Any

from .config import LoraConfig


def with_adapters(model: Any, lora: LoraConfig | None, seed: int) -> Any:
    """The model with fresh adapters as its only trained weights, or the model itself, all of it trained."""
    if lora is None:
        return model.requires_grad_(True)
    import warnings

    import peft
    import torch

    settings = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        # a value model's one-number head is new and must be learnt: this kind trains and keeps it whole
        task_type="SEQ_CLS" if hasattr(model, "score") else "CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft 0.21 reads a property that transformers 5.23 has renamed
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        torch.manual_seed(seed)  # the starting values of A are random
        return peft.get_peft_model(model, settings)
