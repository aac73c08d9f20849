"""Scoring four options after a 300-token prompt: one shared row against a padded row an option.

    python benchmarks/branches.py [--threads 2] [--repeats 7]

Three contenders take turns in one process, on random Llamas of about 6 M and 35 M parameters:

- *usual*: right-padded rows, the model's own forward with all logits, log-softmax over the whole row;
- *fair*: the same rows, but the head and the log-softmax on the predicting positions only;
- *tree*: ``score_trees``.

Printed: the median time with its range and relative to *tree*, the same of CPU time (which other programs on
the machine disturb less; compare it with one thread, since waiting threads spin), the largest difference of
any log-probability, tokens of options' whole texts a second, and how far the resident memory peaks above its
level before (Linux only).
"""

import argparse
import gc
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from trueline.models.branches import Tree, plan, score_trees

SIZES = {"6M": (4096, 256, 688, 6, 8), "35M": (49152, 384, 1024, 8, 6)}
PROMPT, OPTIONS = 300, (6, 10, 14, 18)
Contender = Callable[[LlamaForCausalLM, list[Tree]], list[Tensor]]


def build(size: str) -> LlamaForCausalLM:
    """A random model of the named size."""
    vocabulary, hidden, inner, layers, heads = SIZES[size]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


def questions(count: int, vocabulary: int) -> list[Tree]:
    """Prompts of about 300 tokens with four options each."""
    rng = random.Random(0)

    def tokens(n: int) -> tuple[int, ...]:
        return tuple(rng.randrange(3, vocabulary) for _ in range(n))

    return [
        Tree(trunk=tokens(PROMPT + rng.randint(-20, 20)), branches=tuple(map(tokens, OPTIONS)))
        for _ in range(count)
    ]


def padded(trees: list[Tree]) -> tuple[Tensor, Tensor, list[tuple[int, int]]]:
    """Token ids and attention mask of right-padded rows, and (trunk, whole) lengths."""
    rows = [tree.trunk + branch for tree in trees for branch in tree.branches]
    width = max(map(len, rows))
    tokens = torch.tensor([row + (0,) * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return tokens, mask, [(len(t.trunk), len(t.trunk) + len(b)) for t in trees for b in t.branches]


def usual(model: LlamaForCausalLM, trees: list[Tree]) -> list[Tensor]:
    """One batch a question, all logits."""
    out = []
    for tree in trees:
        tokens, mask, spans = padded([tree])
        logps = torch.log_softmax(model(input_ids=tokens, attention_mask=mask).logits.float(), -1)
        picked = logps[:, :-1].gather(-1, tokens[:, 1:, None])[..., 0]
        out += [row[start - 1 : end - 1] for row, (start, end) in zip(picked, spans)]
    return out


def fair(model: LlamaForCausalLM, trees: list[Tree]) -> list[Tensor]:
    """One batch a question, the head on predicting positions only, no cache kept."""
    out = []
    for tree in trees:
        tokens, mask, spans = padded([tree])
        hidden = model.model(input_ids=tokens, attention_mask=mask, use_cache=False)[0]
        states = torch.cat([row[start - 1 : end - 1] for row, (start, end) in zip(hidden, spans)])
        targets = torch.cat([row[start:end] for row, (start, end) in zip(tokens, spans)])
        logps = torch.log_softmax(model.lm_head(states).float(), -1).gather(-1, targets[:, None])[:, 0]
        out += list(logps.split([end - start for start, end in spans]))
    return out


def tree(model: LlamaForCausalLM, trees: list[Tree]) -> list[Tensor]:
    """The library's."""
    return [logps for branches in score_trees(model, trees) for logps in branches]


CONTENDERS: dict[str, Contender] = {"usual": usual, "fair": fair, "tree": tree}


def peak_mib(work: Callable[[], object]) -> float:
    """How far resident memory peaks above its level before, in MiB; NaN where /proc does not tell."""

    def read(field: str) -> float:
        return float(status.read_text().split(field + ":")[1].split()[0]) / 1024

    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return float("nan")
    gc.collect()
    reset.write_text("5")  # sets the high-water mark back to what is resident now
    before = read("VmRSS")
    with torch.no_grad():
        work()
    return read("VmHWM") - before


def run(size: str, count: int, repeats: int, threads: int) -> None:
    """Time the contenders in turn and print a table."""
    model = build(size)
    trees = questions(count, SIZES[size][0])
    whole = sum(len(t.trunk) + len(b) for t in trees for b in t.branches)
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    work: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    answers: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        for turn in range(repeats + 1):
            for name, contender in CONTENDERS.items():
                start, busy = time.perf_counter(), time.process_time()
                answers[name] = contender(model, trees)
                if turn:
                    times[name].append(time.perf_counter() - start)
                    work[name].append(time.process_time() - busy)
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    print(f"\n{size}: {parameters:.1f} M parameters, {count} questions, {threads} threads")
    print(f"  {plan(model, trees).describe()}")
    best, least = statistics.median(times["tree"]), statistics.median(work["tree"])
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        gap = max(float((a - b).abs().max()) for a, b in zip(answers[name], answers["usual"]))
        memory = peak_mib(lambda contender=CONTENDERS[name]: contender(model, trees))
        busy = statistics.median(work[name])
        print(
            f"  {name:6} {middle * 1e3:7.0f} ms = {middle / best:5.2f} x tree"
            f" ({min(seconds) * 1e3:.0f} to {max(seconds) * 1e3:.0f});"
            f" CPU {busy * 1e3:7.0f} ms = {busy / least:5.2f} x;"
            f" {whole / middle:7.0f} tokens/s; +{memory:.0f} MiB; gap {gap:.0e}",
            flush=True,
        )


def main() -> None:
    """Parse options and run both sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for size, count in {"6M": 8, "35M": 2}.items():
        run(size, count, options.repeats, options.threads)


if __name__ == "__main__":
    main()
