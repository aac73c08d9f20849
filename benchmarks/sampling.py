"""Sampling against transformers' ``generate``: 25 continuations of 20 to 32 tokens a prompt.

    python benchmarks/sampling.py [--model FOLDER] [--prompts 16] [--repeats 5] [--threads 2] [--only short]

Both sides get the same token prompts and draw from the same distribution (temperature 1, no truncation, end tokens
off so that the work is the same). ``generate`` gets ``num_return_sequences=25`` and, prompts sorted by length of
answer, the best of several batch sizes and of fp32 and bf16, found in a first round; we run through the engine in
the better of the two dtypes with its default limits. Then both run in turn, and medians of wall time are compared:
useful tokens a second, which for ``generate`` leaves out what it draws beyond a shorter answer's end.

Then the share of texts that other company in the batch leaves unchanged, by dtype.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from trueline.core.messages import Sampling
from trueline.models.engine import Engine
from trueline.models.requests import Request
from trueline.models.sampling.jobs import Job, Limits
from trueline.models.sampling.sampler import Sampler
from trueline.models.sources import MemorySource

SAMPLES = 25
ANSWERS = range(20, 33)
BATCHES = (1, 2, 4, 8, 16)
DTYPES = (torch.float32, torch.bfloat16)
SHAPE = {
    "vocab_size": 4096,
    "hidden_size": 256,
    "intermediate_size": 688,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "max_position_embeddings": 1024,
    "tie_word_embeddings": True,
}


def load(folder: Path | None, dtype: torch.dtype) -> Any:
    """The model of the folder, or a random Llama of the same shape."""
    if folder is not None:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SHAPE)).to(dtype).eval()


def make_jobs(count: int, length: int) -> list[Job]:
    """Random token prompts of about the length given, answers of 20 to 32 tokens."""
    generator = torch.Generator().manual_seed(length)
    jobs = []
    for number in range(count):
        tokens = length + int(torch.randint(-length // 5, length // 5 + 1, (), generator=generator))
        limit = ANSWERS[number * 5 % len(ANSWERS)]
        jobs.append(
            Job(
                prompt=tuple(torch.randint(3, SHAPE["vocab_size"], (tokens,), generator=generator).tolist()),
                sampling=Sampling(temperature=1.0, samples=SAMPLES, max_tokens=limit),
                stream=(length, number),
                limit=limit,
            )
        )
    return jobs


class Endless(MemorySource):
    """A source without tokenizer, whose answers end at their limit."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Never needed: no stop strings."""
        return ""


def ours(model: Any, jobs: Sequence[Job]) -> None:
    """All jobs through a fresh engine."""
    source, engine = Endless(model, _NoTokenizer()), Engine()

    async def run() -> None:
        await asyncio.gather(
            *(engine.submit(Request(source=source, kind="generate", payload=job)) for job in jobs)
        )

    asyncio.run(run())


class _NoTokenizer:
    eos_token_id = None


def theirs(model: Any, jobs: Sequence[Job], batch: int) -> None:
    """transformers' generate, ``batch`` prompts at a time, padded on the left."""
    ordered = sorted(jobs, key=lambda job: job.limit)
    for start in range(0, len(ordered), batch):
        part = ordered[start : start + batch]
        width = max(len(job.prompt) for job in part)
        rows = [[0] * (width - len(job.prompt)) + list(job.prompt) for job in part]
        mask = [[0] * (width - len(job.prompt)) + [1] * len(job.prompt) for job in part]
        model.generate(
            torch.tensor(rows),
            attention_mask=torch.tensor(mask),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            num_return_sequences=SAMPLES,
            max_new_tokens=max(job.limit for job in part),
            eos_token_id=None,
            pad_token_id=0,
        )


def seconds(work: Callable[[], None]) -> float:
    """Wall time of one run, in a thread that ends with it.

    OpenMP keeps a team of threads for every thread that computes, and lets all teams wait by sleeping, which is
    slower, once they outnumber the cores. Our engine computes in a thread of its own, so must the other side:
    a team left behind by ``generate`` in the main thread made our runs half as slow again.
    """
    with ThreadPoolExecutor(max_workers=1) as alone:
        started = time.perf_counter()
        alone.submit(work).result()
        return time.perf_counter() - started


def compare(models: dict[torch.dtype, Any], jobs: Sequence[Job], title: str, repeats: int) -> None:
    """Find the best settings of both, then run them in turn."""
    useful = sum(job.limit for job in jobs) * SAMPLES
    for model in models.values():
        ours(model, jobs[:1])
        theirs(model, jobs[:1], 1)
    our_dtype = min(models, key=lambda dtype: seconds(lambda: ours(models[dtype], jobs)))
    trials = {
        (dtype, batch): seconds(lambda m=model, b=batch: theirs(m, jobs, b))  # type: ignore[misc]
        for dtype, model in models.items()
        for batch in BATCHES
        if batch <= len(jobs)
    }
    dtype, batch = min(trials, key=lambda key: trials[key])
    pairs = [
        (seconds(lambda: ours(models[our_dtype], jobs)), seconds(lambda: theirs(models[dtype], jobs, batch)))
        for _ in range(repeats)
    ]
    mine, other = (statistics.median(column) for column in zip(*pairs))
    ratios = sorted(b / a for a, b in pairs)
    print(
        f"{title}: {len(jobs)} prompts, {useful} tokens\n"
        f"  trueline     {useful / mine:8.0f} tokens/s  ({our_dtype})\n"
        f"  transformers {useful / other:8.0f} tokens/s  ({dtype}, {batch} prompts a batch, "
        f"its best of {len(trials)})\n"
        f"  ratio {other / mine:.2f} of medians; single pairs {ratios[0]:.2f} to {ratios[-1]:.2f}",
        flush=True,
    )


def unchanged(model: Any, jobs: Sequence[Job]) -> str:
    """The share of texts that stay the same in larger batches."""

    def draw(limits: Limits) -> list[tuple[int, ...]]:
        sampler = Sampler(model, end_tokens=frozenset(), decode=lambda tokens: "", limits=limits)
        return [draw.tokens for draws in sampler.draw(jobs) for draw in draws]

    alone = draw(Limits(slots=1, prefill_tokens=1))
    shares = []
    for slots in (8, 64, 256):
        texts = draw(Limits(slots=slots))
        shares.append(f"{slots}: {sum(a == b for a, b in zip(alone, texts)) / len(alone):.3f}")
    return f"of {len(alone)} texts drawn one at a time, the same with slots " + ", ".join(shares)


def main() -> None:
    """Run both prompt lengths, then the stability check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = Path(os.environ.get("TRUELINE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    usual = data.parent / "models" / "real6m"
    parser.add_argument("--model", type=Path, default=usual if usual.is_dir() else None)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=("short", "long", "stability"))
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    models = {dtype: load(options.model, dtype) for dtype in DTYPES}
    print(
        f"model {options.model or 'random Llama of the same shape'}, {options.threads} threads, "
        f"torch {torch.__version__}"
    )
    if options.only in (None, "short"):
        compare(models, make_jobs(options.prompts, 12), "short prompts (12 tokens)", options.repeats)
    if options.only in (None, "long"):
        few = max(2, options.prompts // 2)
        compare(models, make_jobs(few, 300), "long prompts (300 tokens)", options.repeats)
    for dtype, model in models.items() if options.only in (None, "stability") else ():
        print(f"{dtype}: {unchanged(model, make_jobs(4, 40))}", flush=True)


if __name__ == "__main__":
    main()
