"""Scoring four options after a 300-token prompt: one shared row against a padded row an option.

    python benchmarks/branches.py [--threads 2] [--repeats 7] [--gradients] [--memory] [--only 6M]

They take turns in one process, on random Llamas of about 6 M and 35 M parameters:

- *usual*: right-padded rows, the model's own forward with all logits, log-softmax over the whole row;
- *fair*: the same rows, but the head and the log-softmax on the predicting positions only;
- *tree*: ``score_trees``;
- *bare*: the decoder alone, plain causal, on as many tokens as the trees hold: what no method can beat.

Printed: the median time with its range and relative to *tree*; the same of CPU time, which other programs on
the machine disturb less (read it with one thread: waiting threads spin); tokens of separate rows scored a
second; and the largest difference of a log-probability from *usual*.
"""

import argparse
import random
import statistics
import subprocess
import sys
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


def bare(model: LlamaForCausalLM, trees: list[Tree]) -> list[Tensor]:
    """A floor, not a contender: the decoder alone, causal, on as many tokens as trees need, and no
    padding."""
    states = []
    for tree in trees:
        row = torch.tensor([tree.trunk + sum((branch[:-1] for branch in tree.branches), ())])
        states.append(model.model(input_ids=row, use_cache=False)[0].sum(-1)[0])
    return states


CONTENDERS: dict[str, Contender] = {"usual": usual, "fair": fair, "tree": tree, "bare": bare}


def work(name: str, model: LlamaForCausalLM, trees: list[Tree], gradients: bool) -> list[Tensor]:
    """Run one contender once, with the backward pass when asked."""
    with torch.set_grad_enabled(gradients):
        answer = CONTENDERS[name](model, trees)
        if gradients:
            model.zero_grad()
            torch.cat(answer).sum().backward()
    return [values.detach() for values in answer]


def peak_mib(size: str, name: str, count: int, gradients: bool) -> float:
    """How far resident memory peaks above its level before, in a fresh process (Linux only)."""

    def read(field: str) -> float:
        return float(Path("/proc/self/status").read_text().split(field + ":")[1].split()[0]) / 1024

    model, trees = build(size), questions(count, SIZES[size][0])
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back to what is resident now
    before = read("VmRSS")
    work(name, model, trees, gradients)
    return read("VmHWM") - before


def run(size: str, count: int, options: argparse.Namespace) -> None:
    """Time the contenders in turn and print a table."""
    model, trees = build(size), questions(count, SIZES[size][0])
    whole = sum(len(t.trunk) + len(b) for t in trees for b in t.branches)
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    busy: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    answers: dict[str, list[Tensor]] = {}
    for turn in range(options.repeats + 1):
        for name in CONTENDERS:
            start, busy_start = time.perf_counter(), time.process_time()
            answers[name] = work(name, model, trees, options.gradients)
            if turn:
                times[name].append(time.perf_counter() - start)
                busy[name].append(time.process_time() - busy_start)
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    passes = "forward and backward" if options.gradients else "forward"
    print(f"\n{size}: {parameters:.1f} M parameters, {count} questions, {options.threads} threads, {passes}")
    print(f"  {plan(model, trees).describe()}")
    best, least = statistics.median(times["tree"]), statistics.median(busy["tree"])
    for name, seconds in times.items():
        middle, cpu = statistics.median(seconds), statistics.median(busy[name])
        same = name == "bare"
        gap = (
            0.0 if same else max(float((a - b).abs().max()) for a, b in zip(answers[name], answers["usual"]))
        )
        print(
            f"  {name:6} {middle * 1e3:7.0f} ms = {middle / best:5.2f} x tree"
            f" ({min(seconds) * 1e3:.0f} to {max(seconds) * 1e3:.0f}); CPU {cpu * 1e3:7.0f} ms ="
            f" {cpu / least:5.2f} x; {whole / middle:7.0f} tokens/s" + ("" if same else f"; gap {gap:.0e}"),
            flush=True,
        )
        if options.memory:
            task = [sys.executable, __file__, "--peak", size, name, str(count), str(int(options.gradients))]
            done = subprocess.run(task, check=True, capture_output=True, text=True)
            print(f"         memory peaks {done.stdout.strip()} MiB above the model")


def main() -> None:
    """Parse options and run both sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--gradients", action="store_true", help="time the backward pass too")
    parser.add_argument("--memory", action="store_true", help="peak memory, each in a process of its own")
    parser.add_argument("--only", choices=sorted(SIZES))
    parser.add_argument("--peak", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peak:
        size, name, count, gradients = options.peak
        print(round(peak_mib(size, name, int(count), gradients == "1")))
        return
    for size, count in {"6M": 8, "35M": 2}.items():
        if options.only in (None, size):
            run(size, count, options)


if __name__ == "__main__":
    main()
