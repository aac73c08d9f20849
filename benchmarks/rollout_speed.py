"""On-policy steps end to end, rollouts included, beside trl's: GRPO and RLOO with eight samples a prompt.

    python benchmarks/rollout_speed.py grpo grpo_kl rloo [--shape testbed small large] [--prompts 4]
        [--prompt-tokens 256] [--answer-tokens 64] [--steps 3] [--repeats 3] [--threads 1]

The same random Llamas as in ``training_speed.py``, the same prompts and reward function, and the same number of tokens
drawn: no answer ends before its limit. A step draws eight answers to each prompt, scores them, and learns from all of
them at once. trl runs at its best settings (no gradient checkpointing; whole generations in one batch). Both draw at
temperature 1 without truncation, and both compute entropies. *grpo* has no price on divergence: trl then reads no
reference, ours reads it all the same, to watch the divergence. *grpo_kl* and *rloo* have one, the paper's β k3 in the
loss and β KL in the reward. Draws differ, so losses cannot be compared here: that loss and gradient are equal on frozen
rollouts is tested (``tests/training/test_trl_on_policy.py``). Ratios are of CPU seconds, medians of the repeats' own
ratios.

On a GPU (not run yet): ``--device cuda --dtype bf16 --shape 1b``. Needs the extra ``peers``.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from speed.contenders import RATE, Setting, StepTimes, of_trl, quiet
from speed.measuring import now, typical
from speed.models import END, FIRST, SHAPES, build, load, words
from transformers import AutoTokenizer, PrinterCallback

from trueline.core.messages import Conversation, chat
from trueline.training.advantages.grpo import GroupRelative
from trueline.training.advantages.rloo import LeaveOneOut
from trueline.training.config import TrainingConfig
from trueline.training.groups import RolloutConfig
from trueline.training.loop import train
from trueline.training.objectives.policy_gradient import PolicyGradientObjective
from trueline.training.objectives.token_policy import TokenPolicyObjective
from trueline.training.rollouts import Rollouts

SAMPLES, BETA, PAPER_BETA = 8, 0.05, 0.04
# our method and objective, trl's trainer and its settings
METHODS: dict[str, tuple[Any, Any, str, dict[str, Any]]] = {
    "grpo": (GroupRelative(), TokenPolicyObjective(name="grpo"), "GRPO", {"loss_type": "grpo", "beta": 0.0}),
    "grpo_kl": (
        GroupRelative(),
        TokenPolicyObjective(name="grpo", beta=PAPER_BETA, kl="k3"),
        "GRPO",
        {"loss_type": "grpo", "beta": PAPER_BETA},
    ),
    "rloo": (LeaveOneOut(beta=BETA), PolicyGradientObjective(name="rloo"), "RLOO", {"beta": BETA}),
}


def even_words(texts: Sequence[str]) -> list[float]:
    """The reward: the share of words with an even number."""
    said = [[int(word[1:]) for word in text.split() if word[1:].isdigit()] for text in texts]
    return [sum(number % 2 == 0 for number in numbers) / max(1, len(numbers)) for numbers in said]


class Words:
    """A speech whose tokens are words and whose answers never end by themselves."""

    end_tokens: frozenset[int] = frozenset()
    stops: tuple[str, ...] = ()

    def start(self, prompt: Conversation) -> tuple[int, ...]:
        """A word is a token."""
        return tuple(int(word[1:]) for word in prompt[0].content.split())

    def said(self, prompt: Conversation, start: Sequence[int], tokens: Sequence[int]) -> str:
        """A token is a word."""
        return words(tokens)

    def decode(self, tokens: Sequence[int]) -> str:
        """A token is a word."""
        return words(tokens)


class Even:
    """The reward as our loop asks for it."""

    def fingerprint(self) -> str:
        """It has no settings."""
        return "even words"

    def __call__(self, prompt: Any, answers: Sequence[str]) -> list[float]:
        """A number in [0, 1] for each answer."""
        return even_words(answers)


def run_ours(setting: Setting, name: str, prompts: Sequence[str], given: argparse.Namespace) -> np.ndarray:
    """Seconds (wall, CPU) a step."""
    method, objective, _, _ = METHODS[name]
    config = TrainingConfig(
        learning_rate=RATE,
        warmup=0.0,
        batch_size=given.prompts,
        steps=setting.steps,
        precision=setting.precision,
    )  # type: ignore[arg-type]
    rollouts = Rollouts(
        prompts=[chat(prompt) for prompt in prompts],
        speech=Words(),
        reward=Even(),
        method=method,
        config=RolloutConfig(samples=SAMPLES, max_tokens=given.answer_tokens),
        batch_size=given.prompts,
        max_length=1024,
        limit=setting.steps,
    )
    marks = [now()]
    run = train(
        load(setting.folder), rollouts, objective, config, cpu=setting.device == "cpu",
        progress=lambda *_: marks.append(now()),
    )  # fmt: skip
    assert {line["length"] for line in run.history} == {float(given.answer_tokens)}
    return typical(np.diff(marks, axis=0))


def run_trl(
    setting: Setting, name: str, prompts: Sequence[str], work: Path, given: argparse.Namespace
) -> np.ndarray:
    """Seconds (wall, CPU) a step."""
    _, _, kind, settings = METHODS[name]
    trainer, configuration = of_trl(kind)
    times = StepTimes()
    made = trainer(
        model=load(setting.folder),
        reward_funcs=lambda completions, **_: even_words(completions),
        args=configuration(
            **setting.arguments(work),
            **settings,
            per_device_train_batch_size=given.prompts * SAMPLES,
            num_generations=SAMPLES,
            max_completion_length=given.answer_tokens,
            gradient_checkpointing=False,
            temperature=1.0,
            shuffle_dataset=False,
            generation_kwargs={"eos_token_id": None, "suppress_tokens": [END]},
        ),
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
        processing_class=AutoTokenizer.from_pretrained(setting.folder),
        callbacks=[times],
    )
    made.remove_callback(PrinterCallback)
    made.train()
    lengths = [line["completions/mean_length"] for line in made.state.log_history if "loss" in line]
    assert all(length > 0.95 * given.answer_tokens for length in lengths), lengths
    return typical(times.seconds)


def make_prompts(count: int, vocabulary: int, tokens: int) -> list[str]:
    """Random words, lengths a quarter up or down."""
    draw = np.random.default_rng(0)
    sizes = draw.integers(tokens * 3 // 4, tokens * 5 // 4 + 1, count)
    return [words(int(t) for t in draw.integers(FIRST, vocabulary, size)) for size in sizes]


def compare(name: str, shape: str, given: argparse.Namespace) -> None:
    """Both in turn, and their ratio."""
    prompts = make_prompts(given.prompts * given.steps, SHAPES[shape]["vocab_size"], given.prompt_tokens)
    found = []
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        setting = Setting(
            folder=work / "model", steps=given.steps, device=given.device, precision=given.dtype
        )
        build(shape, setting.folder)
        for _ in range(given.repeats):
            found.append(
                (run_ours(setting, name, prompts, given), run_trl(setting, name, prompts, work, given))
            )
    both = np.array(found)  # [repeats, contenders, clocks]
    ratios = both[:, 1] / both[:, 0]
    (ours, theirs), (wall, cpu) = np.median(both, axis=0), np.median(ratios, axis=0)
    drawn = given.prompts * SAMPLES * given.answer_tokens
    single = " ".join(f"{ratio:.2f}" for ratio in ratios[:, 1 if given.device == "cpu" else 0])
    print(
        f"{name}, {shape}: {given.prompts} prompts of about {given.prompt_tokens} tokens, {SAMPLES} answers of"
        f" {given.answer_tokens}, {given.repeats} x {given.steps} steps\n"
        f"  trueline {ours[0]:.2f} s, CPU {ours[1]:.2f} s ({drawn / ours[1]:,.0f} drawn tokens a CPU second)\n"
        f"  trl      {theirs[0]:.2f} s, CPU {theirs[1]:.2f} s\n"
        f"  ratio    {wall:.2f}, CPU {cpu:.2f} (single: {single})",
        flush=True,
    )


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", nargs="+", choices=sorted(METHODS))
    parser.add_argument("--shape", nargs="+", choices=sorted(SHAPES), default=["testbed", "small", "large"])
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--prompt-tokens", type=int, default=256)
    parser.add_argument("--answer-tokens", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    quiet()
    for name in given.methods:
        for shape in given.shape:
            compare(name, shape, given)


if __name__ == "__main__":
    main()
