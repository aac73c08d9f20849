"""Multiple choice side by side with lm-eval 0.4.13: the same model, prompts, options and log-likelihoods.

    python benchmarks/multiple_choice.py [--model FOLDER] [--threads 1] [--repeats 5] [--only long]

Questions are made of this repository's own pages: what was written next, and three other places. Three sets:

- *long*: each question has its own context of about 400 tokens, four options of about 6 to 20 tokens;
- *shots*: all questions begin with the same solved examples (about 600 tokens), four options likewise;
- *letters*: the same beginning, options of one token, where lm-eval too computes a question once.

lm-eval gets its best of several batch sizes, tried first. Both start from text and end with a number an option;
what lm-eval's task machinery costs beside is left out. Log-likelihoods are asserted equal to 1e-3. Printed:
CPU time, which other programs disturb less (read it with one thread), and the ratio of each pair of runs.
Without ``--model`` a random Llama of 6 M parameters and a tokenizer trained on the same pages serve.
"""

import argparse
import asyncio
import logging
import os
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from trueline.models.engine import Engine
from trueline.models.local import LocalTarget

PAGES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
BATCH_SIZES = (1, 4, 16)
CONTEXT, SHOTS, QUESTION = 400, 600, 60  # tokens


@dataclass(frozen=True)
class Question:
    """A prompt and its options, each with the space before it."""

    prompt: str
    options: tuple[str, ...]


def words_of_the_pages() -> list[str]:
    """All words of docs/, page after page."""
    return [word for page in PAGES for word in page.read_text(encoding="utf-8").split()]


def load(folder: str | None, words: list[str]) -> tuple[Any, Any]:
    """The model in fp32 and its tokenizer."""
    if folder is not None:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return model.eval(), AutoTokenizer.from_pretrained(folder)
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=4096, special_tokens=["<pad>", "<eos>"], initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator([" ".join(words)], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=4096, hidden_size=256, intermediate_size=688, num_hidden_layers=6, num_attention_heads=8,
        max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=None, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval(), tokenizer


def questions(kind: str, count: int, words: list[str], tokenizer: Any) -> list[Question]:
    """``count`` questions of one set; what is asked is what was written next."""
    draw = random.Random(0)

    def cut(tokens: int) -> tuple[str, int]:
        """A text of at most so many tokens, and the place of the word after it."""
        start = draw.randrange(len(words) - tokens - 20)
        length = tokens
        while len(tokenizer(text := " ".join(words[start : start + length])).input_ids) > tokens:
            length -= 1 + length // 20
        return text, start + length

    def options(after: int) -> tuple[str, ...]:
        starts = [after, *(draw.randrange(len(words) - 20) for _ in range(3))]
        found = [" ".join(words[start : start + draw.randint(2, 6)]) for start in starts]
        draw.shuffle(found)
        return tuple(f" {option}" for option in found)

    if kind == "long":
        cuts = [cut(CONTEXT) for _ in range(count)]
        return [Question(context, options(after)) for context, after in cuts]
    head = ""
    while len(tokenizer(head).input_ids) < SHOTS:
        text, after = cut(QUESTION)
        head += f"Text: {text}\nNext: {words[after]}\n\n"
    cuts = [cut(QUESTION) for _ in range(count)]
    letters = tuple(f" {letter}" for letter in "ABCD")
    return [
        Question(f"{head}Text: {text}\nNext:", letters if kind == "letters" else options(after))
        for text, after in cuts
    ]


def ours(target: LocalTarget, asked: list[Question]) -> list[float]:
    """Every option's log-likelihood, in order."""

    async def everything() -> list[float]:
        scores = await asyncio.gather(*(target.score(one.prompt, one.options) for one in asked))
        return [score.logprob for options in scores for score in options]

    return asyncio.run(everything())


def theirs(harness: HFLM, asked: list[Question]) -> list[float]:
    """The same of lm-eval's model class."""
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=(one.prompt, option), idx=0)
        for one in asked
        for option in one.options
    ]
    with torch.no_grad():
        return [value for value, _ in harness.loglikelihood(requests, disable_tqdm=True)]


def timed(work: Callable[[], list[float]]) -> tuple[float, list[float]]:
    """CPU seconds and the result."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def best_batch(model: Any, tokenizer: Any, asked: list[Question]) -> HFLM:
    """lm-eval at the batch size that is fastest on the first questions."""
    found = []
    for size in BATCH_SIZES:
        harness = HFLM(pretrained=model, tokenizer=tokenizer, device="cpu", batch_size=size)
        theirs(harness, asked[:2])
        found.append((timed(partial(theirs, harness, asked[:4]))[0], size, harness))
    return min(found, key=lambda entry: entry[:2])[2]


def compare(kind: str, count: int, model: Any, tokenizer: Any, words: list[str], repeats: int) -> None:
    """Time both in turn and print one line."""
    asked = questions(kind, count, words, tokenizer)
    harness = best_batch(model, tokenizer, asked)
    target = LocalTarget.from_module(model, tokenizer, name="ours", engine=Engine()).with_cut("harness")
    ours(target, asked[:2])
    pairs = []
    for _ in range(repeats):
        mine, found = timed(lambda: ours(target, asked))
        other, expected = timed(lambda: theirs(harness, asked))
        pairs.append((mine, other))
        gap = max(abs(a - b) for a, b in zip(found, expected, strict=True))
        assert gap < 1e-3, f"log-likelihoods differ by {gap}"
    prompt = statistics.median(len(tokenizer(one.prompt).input_ids) for one in asked)
    ratios = [other / mine for mine, other in pairs]
    print(
        f"{kind:8} {count} questions, {prompt:.0f} prompt tokens: ours {statistics.median(p[0] for p in pairs):.2f} s,"
        f" lm-eval {statistics.median(p[1] for p in pairs):.2f} s CPU (batch {harness.batch_size});"
        f" {statistics.median(ratios):.1f}x ({min(ratios):.1f} to {max(ratios):.1f}); largest gap {gap:.0e};"
        f" {target.engine.usage.scored_tokens // (repeats + 1)} tokens computed a run",
        flush=True,
    )


def main() -> None:
    """Parse options and run the sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", help="a transformers folder; a random Llama without it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--only", choices=("long", "shots", "letters"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable(logging.WARNING)
    words = words_of_the_pages()
    model, tokenizer = load(options.model, words)
    for kind in ("long", "shots", "letters"):
        if options.only in (None, kind):
            compare(kind, options.questions, model, tokenizer, words, options.repeats)


if __name__ == "__main__":
    main()
