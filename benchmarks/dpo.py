"""Speed of DPO steps beside trl's, on the same model, pairs, order and learning rates, in one run.

    python benchmarks/dpo.py [--steps 4] [--threads 2] [--only small|large]

Random Llamas (5.8 M parameters with a vocabulary of 4,096, and 34.6 M with 49,152), prompt-heavy random pairs
(about 150 prompt and 89 answer tokens), four pairs a step, fp32 on the CPU, AdamW. trl runs twice: as it
comes (but in fp32, so that losses can be compared), and at its best settings (reference precomputed, no
gradient checkpointing). Losses must agree to 1e-4, or the run fails. The bare figure is a forward and
backward pass of the model over the tokens that we read, as plain unpadded rows, with the loss on every token
and no optimiser. CPU seconds (of all threads) are shown besides wall time, because other programs' load
hardly moves them. Needs the extra ``peers``.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import DPOConfig, DPOTrainer

from trueline.models.trees import Tree
from trueline.training.batches import Example, SeededBatches
from trueline.training.config import TrainingConfig
from trueline.training.loop import train
from trueline.training.objectives.dpo import DPOObjective
from trueline.training.reference import add_reference

PAIRS, BETA, RATE = 4, 0.1, 1e-4
SPECIAL = ("<pad>", "<eos>", "<bos>", "<unk>")
SHAPES = {
    "small": {"vocab_size": 4096, "hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 6},
    "large": {"vocab_size": 49152, "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 9},
}


def build(shape: str, folder: Path) -> PreTrainedTokenizerFast:
    """A random model, saved as a transformers folder with a tokenizer in which ``t7`` is token 7."""
    config = LlamaConfig(
        **SHAPES[shape],
        num_attention_heads=8,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    words = {name: i for i, name in enumerate(SPECIAL)} | {f"t{i}": i for i in range(4, config.vocab_size)}
    raw = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>")
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_pairs(count: int, vocabulary: int) -> list[tuple[tuple[int, ...], ...]]:
    """(prompt, chosen, rejected) token ids; answers end with the end token."""
    draw = np.random.default_rng(0)

    def tokens(mean: int) -> tuple[int, ...]:
        return tuple(int(t) for t in draw.integers(4, vocabulary, draw.integers(mean - 40, mean + 41)))

    return [(tokens(150), (*tokens(88), 1), (*tokens(88), 1)) for _ in range(count)]


def now() -> np.ndarray:
    """Wall time and CPU time of all threads, in seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def median(seconds) -> np.ndarray:
    """Of each column; the first step is left out, since it warms caches up in every program."""
    return np.median(np.array(seconds[1:]), axis=0)


class StepTimes(TrainerCallback):
    """Time of each optimiser step, from its first pass to its update."""

    def __init__(self):
        self.seconds, self.losses, self._start = [], [], now()

    def on_step_begin(self, args, state, control, **kwargs):
        self._start = now()

    def on_step_end(self, args, state, control, **kwargs):
        self.seconds.append(now() - self._start)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            self.losses.append(float(logs["loss"]))


def words(ids, end: int = 0) -> str:
    """Token ids as text; trl adds the end token itself."""
    return "".join(f"t{i} " for i in ids[: len(ids) - end])


def run_trl(folder: Path, tokenizer, pairs, steps: int, work: Path, **settings) -> StepTimes:
    """trl's DPOTrainer; returns times and losses of its steps."""
    rows = [{"prompt": words(p), "chosen": words(c, 1), "rejected": words(r, 1)} for p, c, r in pairs]
    times = StepTimes()
    args = DPOConfig(
        output_dir=str(work),
        per_device_train_batch_size=PAIRS,
        max_steps=steps,
        learning_rate=RATE,
        beta=BETA,
        lr_scheduler_type="linear",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        bf16=False,
        train_sampling_strategy="sequential",
        disable_tqdm=True,
        **settings,
    )
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    data = Dataset.from_list(rows)
    trainer = DPOTrainer(
        model=model, args=args, train_dataset=data, processing_class=tokenizer, callbacks=[times]
    )
    trainer.train()
    return times


def run_ours(folder: Path, pairs, steps: int):
    """Our loop; returns times, losses and the seconds of the reference."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config = TrainingConfig(learning_rate=RATE, warmup=0.0, batch_size=PAIRS, steps=steps)
    examples = [Example(tree=Tree(trunk=p, branches=(c, r)), index=i) for i, (p, c, r) in enumerate(pairs)]
    start = now()
    examples = add_reference(model, examples, weights="benchmark", config=config).examples
    reference = now() - start
    batches = SeededBatches(
        kind="pairs", examples=examples, batch_size=PAIRS, limit=steps, order=range(len(pairs))
    )
    marks = [now()]
    run = train(model, batches, DPOObjective(beta=BETA), config, progress=lambda *_: marks.append(now()))
    return np.diff(marks, axis=0), [line["loss"] for line in run.history], reference, examples


def run_bare(folder: Path, examples) -> tuple[np.ndarray, int]:
    """Seconds and tokens of a bare forward and backward over one step's tokens, one unpadded row a pair."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    rows = [
        torch.tensor([[*e.tree.trunk, *e.tree.branches[0], *e.tree.branches[1]]]) for e in examples[:PAIRS]
    ]
    seconds = []
    for _ in range(3):
        start = now()
        for row in rows:
            model(input_ids=row, labels=row, use_cache=False).loss.backward()
        seconds.append(now() - start)
        model.zero_grad(set_to_none=True)
    return median(seconds), sum(row.numel() for row in rows)


def compare(shape: str, steps: int) -> bool:
    """One model shape: run all, print the table, and say whether the losses agree."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "model"
        tokenizer = build(shape, folder)
        pairs = make_pairs(PAIRS * steps, SHAPES[shape]["vocab_size"])
        ours, losses, reference, examples = run_ours(folder, pairs, steps)
        bare, tokens = run_bare(folder, examples)
        best = {"precompute_ref_log_probs": True, "gradient_checkpointing": False}
        peers = {
            "trl, defaults": run_trl(folder, tokenizer, pairs, steps, Path(work) / "a"),
            "trl, best settings": run_trl(folder, tokenizer, pairs, steps, Path(work) / "b", **best),
        }
    mine = median(ours)
    gap = max(abs(a - b) for peer in peers.values() for a, b in zip(losses, peer.losses))
    print(f"\n{shape}: {SHAPES[shape]}")
    print(f"{'':24}{'s/step':>8}{'ratio':>7}{'CPU s/step':>12}{'ratio':>7}")
    rows = {"trueline": mine, **{name: median(peer.seconds) for name, peer in peers.items()}}
    rows |= {"bare forward-backward": bare, "reference, once": reference / steps}
    for name, (wall, cpu) in rows.items():
        print(f"{name:24}{wall:8.3f}{wall / mine[0]:7.2f}{cpu:12.3f}{cpu / mine[1]:7.2f}")
    share = bare / mine
    print(
        f"trueline reads {tokens / mine[0]:,.0f} tokens/s (the prompt of a pair once), {share[0]:.0%} (CPU: "
        f"{share[1]:.0%}) of the bare pass over the same tokens"
    )
    print(f"largest difference of a loss: {gap:.1e} over {steps} steps (must be below 1e-4)")
    return gap < 1e-4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=sorted(SHAPES))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shapes = [options.only] if options.only else list(SHAPES)
    agree = [compare(shape, options.steps) for shape in shapes]
    return 0 if all(agree) else 1


if __name__ == "__main__":
    sys.exit(main())
