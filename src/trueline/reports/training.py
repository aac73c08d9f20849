"""The page of a training run: reward against divergence, with its budget, and what else moved; without torch.

Of a run on the target's own answers it is the plot of Gao et al. 2022 (arXiv 2210.10760) as users can have it, without
gold (where a gold reward was watched it is drawn too); of any other run, its loss and metrics against steps.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trueline.core.errors import InputError
from trueline.studies.arms import shown
from trueline.training.history import History, is_on_policy, shifts, signs, thinned

from .pages import duration, environment, quantity, write_page
from .training_curves import AGAINST_STEPS, against_divergence, against_steps

PAGE = "training.html"
PLUMBING = ("step", "seconds", "tokens", "answer_tokens", "learning_rate", "grad_norm")


def training_page(folder: Path) -> Path | None:
    """``training.html`` beside the manifest of a trained model; None where the folder keeps no history of steps."""
    manifest = _manifest(folder)
    if not manifest.get("history"):
        return None
    return write_page(folder / PAGE, render(manifest))


def training_words(folder: Path) -> list[str]:
    """What a training took, why it ended early, and what its history gives reason to look at: a sentence each."""
    manifest = _manifest(folder)
    training, history = manifest.get("training", {}), manifest.get("history", [])
    if "steps" not in training:
        return []
    took = f"{training['steps']} steps, {quantity(training['tokens'])} tokens, {quantity(training['flops'])}FLOPs"
    words = [f"{took}, {duration(training['seconds'])}."]
    if training.get("stopped"):
        words.append(f"Stopped early: {training['stopped']}.")
    return words + (signs(history) if is_on_policy(history) else [])


def feedback_words(feedback: Mapping[str, Any]) -> list[str]:
    """What a critic gave to learn from, and how often it agrees with a known reward; nothing without a critic."""
    if not feedback:
        return []
    learnt = f"{feedback['revisions']} revisions of answers to {feedback['prompts']} prompts"
    pairs: Mapping[str, Any] = feedback.get("AI preferences", {})
    words = [f"Critic {feedback['critic']}: {learnt}{_unused(feedback['not used'])}."]
    if pairs:
        words.append(f"Pairs to learn from: {pairs['pairs']}{_unused(pairs['not used'])}.")
    agreed = pairs.get("agreement with the reward", {})
    if "value" in agreed:
        interval = f"[{100 * agreed['low']:.1f}, {100 * agreed['high']:.1f}]"
        words.append(
            f"Its preferences agree with the known reward in {100 * agreed['value']:.1f} % {interval} of "
            f"{agreed['n']} pairs ({agreed['ties']} more are worth the same to it)."
        )
    return words


def _unused(reasons: Mapping[str, int]) -> str:
    listed = "; ".join(
        f"{count} × {reason}" for reason, count in sorted(reasons.items(), key=lambda r: -r[1])
    )
    return f" (not used: {listed})" if listed else ""


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a trained model; empty where there is none."""
    file = folder / "manifest.json"
    if not file.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{file} is damaged ({error}); remove {folder} to train anew.") from error
    return found


def render(manifest: Mapping[str, Any]) -> str:
    """The page as one HTML text."""
    history: History = manifest["history"]
    treatment, training = manifest["treatment"], manifest["training"]
    on_policy = is_on_policy(history)
    return (
        environment()
        .get_template("training.html.j2")
        .render(
            method=treatment["name"],
            settings={
                k: shown(v) for k, v in treatment.items() if k not in ("name", "version") and v is not None
            },
            training=training,
            on_policy=on_policy,
            budget=treatment.get("kl_budget"),
            divergence=against_divergence({"": thinned(history)}, treatment.get("kl_budget"))
            if on_policy
            else [],
            steps=against_steps(
                {"": thinned(history)} if on_policy else {"": thinned(history, names=_other(history))}
            ),
            shifts=shifts(history) if on_policy else {},
            names=AGAINST_STEPS,
            signs=signs(history) if on_policy else [],
            made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    )


def _other(history: History) -> Sequence[str]:
    return [name for name in history[0] if name not in PLUMBING]
