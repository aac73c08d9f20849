"""Oversights of settings: learning rate, precision, dropout, adapters, a reward model from elsewhere."""

from pathlib import Path
from typing import Any

from .alignment_setup import Oversight, Setup

FULL_RATES = {
    1e8: (1e-5, 5e-3),
    1e10: (1e-7, 2e-4),
    float("inf"): (1e-8, 5e-5),
}  # parameters below: usual rates
LORA_FACTOR = 10.0  # adapters take about ten times the rate of full weights
BF16_STEP = 2**-9 * 0.02  # half of bf16's spacing relative to a typical weight of 0.02


def dropout(setup: Setup) -> Oversight | None:
    """The configuration has dropout."""
    config = setup.target.source.config.get_text_config().to_dict()
    found = {k: v for k, v in config.items() if _is_dropout(k) and isinstance(v, float) and v > 0}
    if not found:
        return None
    name, value = next(iter(found.items()))
    return Oversight(
        name="dropout", grade="warning", what=f"config.json has {name} = {value}",
        why="log-probabilities compared under dropout are noise; Trueline turns it off where an objective "
        "compares, other trainers may not",
        fix="set it to 0 for preference and policy-gradient training",
    )  # fmt: skip


def _is_dropout(name: str) -> bool:
    return "dropout" in name or name.endswith("pdrop")


def learning_rate(setup: Setup) -> Oversight | None:
    """The learning rate is far from what models of this size take."""
    rate, size = getattr(setup.treatment, "learning_rate", None), setup.target.source.parameters
    if rate is None:
        return None
    low, high = next(ends for most, ends in FULL_RATES.items() if size < most)
    if getattr(setup.treatment, "lora", False):
        low, high = low * LORA_FACTOR, high * LORA_FACTOR
    if low <= rate <= high:
        return None
    return Oversight(
        name="learning rate", grade="warning",
        what=f"learning rate {rate:g} for {size / 1e6:,.1f} million parameters; usual are {low:g} to {high:g}",
        why="too small does nothing, too large destroys the model",
        fix="sweep it on held-out data before you conclude anything about the method",
    )  # fmt: skip


def half_precision_steps(setup: Setup) -> Oversight | None:
    """Steps that vanish when the trained weights are used in 16 bits."""
    rate = getattr(setup.treatment, "learning_rate", None)
    if (
        rate is None
        or setup.target.source.dtype not in ("bfloat16", "float16")
        or getattr(setup.treatment, "lora", False)
    ):
        return None
    batch, epochs = getattr(setup.treatment, "batch_size", 1), getattr(setup.treatment, "epochs", 1.0)
    steps = getattr(setup.treatment, "steps", None) or max(1, round(epochs * len(setup.rows) / batch))
    moved = rate * steps / 2  # Adam moves a weight by at most about the rate, over a falling schedule
    if moved >= BF16_STEP:
        return None
    return Oversight(
        name="steps lost in 16 bits", grade="warning",
        what=f"{steps} steps at {rate:g} move a weight by about {moved:.1g}, less than bf16 resolves at 0.02",
        why="the trained folder keeps fp32, but used in its base's precision most of the change rounds away",
        fix="train longer, raise the learning rate, or use the result with --dtype float32",
    )  # fmt: skip


def tied_embeddings(setup: Setup) -> Oversight | None:
    """LoRA on a model whose embeddings are its output head."""
    config = setup.target.source.config.get_text_config()
    if not (getattr(setup.treatment, "lora", False) and getattr(config, "tie_word_embeddings", False)):
        return None
    return Oversight(
        name="tied embeddings with LoRA", grade="note",
        what="embeddings and output head are one matrix; adapters leave it as it is",
        why="an adapter on one of the two alone would untie them when it is merged, so Trueline puts none there; "
        "tokens that the base never learnt, such as those of a new template, stay unlearnt",
        fix="train all weights if the template's tokens are new to the model",
    )  # fmt: skip


def biased_divergence(setup: Setup) -> Oversight | None:
    """The divergence is priced by k3 in the loss."""
    treatment = setup.treatment
    if getattr(treatment, "kl", None) != "k3" or not getattr(treatment, "beta", 0.0):
        return None
    return Oversight(
        name="biased divergence", grade="warning", what="kl: k3 is differentiated as a loss",
        why="its gradient is not that of the KL divergence (TRL #4967, arXiv 2512.21852); the paper of GRPO does so",
        fix="leave kl at k2, or put k1 in the reward (kl: k1)",
    )  # fmt: skip


def reward_tokenizer(setup: Setup) -> Oversight | None:
    """A reward model's folder speaks other tokens or another template than the model."""
    folder = next(
        (value for name in ("reward", "cost") if _is_folder(value := getattr(setup.treatment, name, ""))),
        None,
    )
    if folder is None:
        return None
    from transformers import AutoTokenizer

    own = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    theirs = setup.tokenizer
    other = [
        name
        for name, differs in (
            ("tokenizer", own.get_vocab() != theirs.get_vocab()),
            ("chat template", own.chat_template != theirs.chat_template),
        )
        if differs
    ]
    if not other:
        return None
    return Oversight(
        name="reward model's tokenizer", grade="note",
        what=f"{folder} has another {' and '.join(other)} than the model",
        why="a reward read through the policy's tokens is noise (TRL #1979, #6952); Trueline reads every answer "
        "as text, through the reward model's own tokenizer and template",
        fix="nothing here; other trainers may need both to be the same",
    )  # fmt: skip


def _is_folder(name: Any) -> bool:
    return isinstance(name, str) and name not in ("", "given", "trained") and Path(name).is_dir()
