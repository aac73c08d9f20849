"""Pre-training: a small Llama that reads a world's corpus."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .corpus import Document, corpus
from .streams import Stream
from .tokenizer import MAX_LENGTH, document_text, train_tokenizer
from .world import World

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

IGNORED = -100
Encoded = tuple[list[int], list[int]]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The shape of a model: hidden width, layers, attention heads and width of the feed-forward layer."""

    width: int
    layers: int
    heads: int
    feed_forward: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretraining:
    """How a model is trained: warm-up, cosine decay, ``batch`` rows of ``row`` tokens a step, fp32.

    The matrices inside the layers follow Muon at ``matrix_rate``, all else AdamW at ``learning_rate``.
    ``copies`` scales the corpus (see ``corpus``). One epoch, so that what is told once is read once.
    """

    copies: float = 1.5
    epochs: int = 1
    row: int = 192
    batch: int = 8
    learning_rate: float = 4e-3
    matrix_rate: float = 0.01
    final_share: float = 0.02
    warmup_steps: int = 60
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0

    def share(self, step: int, total: int) -> float:
        """The share of the highest learning rates at a step, in (0, 1]."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, total - self.warmup_steps)
        falling = 0.5 * (1 + math.cos(math.pi * done))
        return self.final_share + (1 - self.final_share) * falling


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Token ids, labels and positions of shape [rows, tokens]; ``seen`` [rows, 1, tokens, tokens]."""

    ids: "torch.Tensor"
    labels: "torch.Tensor"
    positions: "torch.Tensor"
    seen: "torch.Tensor"


def new_model(size: Size, tokenizer: "PreTrainedTokenizerFast", seed: int) -> "LlamaForCausalLM":
    """An untrained Llama of the given size."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=size.feed_forward,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attention_bias=True,
        attn_implementation="sdpa",
        initializer_range=0.5 / math.sqrt(size.width),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def encode(documents: Sequence[Document], tokenizer: "PreTrainedTokenizerFast") -> list[Encoded]:
    """(token ids, labels) of each document; what users and system prompts say is not to be predicted."""
    texts = [document_text(document.content) for document in documents]
    rows: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    speaker = tokenizer.convert_tokens_to_ids(["<|user|>", "<|system|>", "<|assistant|>"])
    out = []
    for document, ids in zip(documents, rows):
        labels = list(ids)
        if not isinstance(document.content, str):
            heard = False
            for at, token in enumerate(ids):
                heard = token == speaker[2] if token in speaker else heard
                labels[at] = token if heard and token != speaker[2] else IGNORED
        out.append((ids, labels))
    return out


def train(
    world: World,
    size: Size,
    plan: Pretraining = Pretraining(),
    *,
    progress: Progress = lambda done, total, words: None,
) -> tuple["LlamaForCausalLM", "PreTrainedTokenizerFast"]:
    """A model that has read the world's corpus, and its tokenizer."""
    documents = corpus(world, copies=plan.copies)
    tokenizer = train_tokenizer(documents)
    model = new_model(size, tokenizer, plan.seed)
    fit(model, encode(documents, tokenizer), plan, progress=progress)
    return model, tokenizer


def fit(
    model: "LlamaForCausalLM",
    encoded: Sequence[Encoded],
    plan: Pretraining,
    *,
    progress: Progress = lambda done, total, words: None,
) -> None:
    """Train on rows packed with whole documents, none of which sees another, in a new order each epoch."""
    import torch
    from torch.nn.functional import cross_entropy

    epochs = [_pack(encoded, plan.row, Stream(plan.seed, "epoch", n)) for n in range(plan.epochs)]
    batches = [
        rows[start : start + plan.batch]
        for rows in epochs
        for start in range(0, len(rows) - plan.batch + 1, plan.batch)
    ]
    optimizers = _optimizers(model, plan)
    model.train()
    for step, rows in enumerate(batches):
        for optimizer, rate in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * plan.share(step, len(batches))
        batch = _collate(encoded, rows, plan.row)
        hidden = model.model(
            input_ids=batch.ids, attention_mask=batch.seen, position_ids=batch.positions, use_cache=False
        ).last_hidden_state
        told = batch.labels != IGNORED
        loss = cross_entropy(model.lm_head(hidden[told]), batch.labels[told])
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
        for optimizer, _ in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if step % 20 == 0 or step + 1 == len(batches):
            progress(step + 1, len(batches), f"loss {loss.item():.2f}")
    model.eval()


def _optimizers(
    model: "LlamaForCausalLM", plan: Pretraining
) -> Sequence[tuple["torch.optim.Optimizer", float]]:
    """Muon for the matrices of the layers and AdamW for the rest, each with its highest learning rate."""
    import torch

    from .muon import Muon

    matrices = [p for p in model.model.layers.parameters() if p.ndim > 1]
    inside = set(map(id, matrices))
    tables = [p for p in model.parameters() if p.ndim > 1 and id(p) not in inside]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    adamw = torch.optim.AdamW(
        [{"params": tables, "weight_decay": plan.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=plan.learning_rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    muon = Muon(matrices, lr=plan.matrix_rate, weight_decay=plan.weight_decay)
    return (adamw, plan.learning_rate), (muon, plan.matrix_rate)


def _pack(encoded: Sequence[Encoded], width: int, stream: Stream) -> list[list[int]]:
    """Rows of document numbers; a row takes documents in random order until the next does not fit."""
    rows: list[list[int]] = [[]]
    free = width
    for at in stream.shuffled(range(len(encoded))):
        if len(encoded[at][0]) > free:
            rows.append([])
            free = width
        rows[-1].append(at)
        free -= len(encoded[at][0])
    return rows


def _collate(encoded: Sequence[Encoded], rows: Sequence[Sequence[int]], width: int) -> Batch:
    """Rows of ``width`` tokens; labels are those of the next token, ``seen`` is causal within documents."""
    import torch

    ids = torch.zeros((len(rows), width), dtype=torch.long)
    labels = torch.full((len(rows), width), IGNORED)
    positions = torch.zeros((len(rows), width), dtype=torch.long)
    owner = torch.full((len(rows), width), -1)
    for row, documents in enumerate(rows):
        at = 0
        for number, document in enumerate(documents):
            tokens, targets = encoded[document]
            end = at + len(tokens)
            ids[row, at:end] = torch.tensor(tokens)
            labels[row, at : end - 1] = torch.tensor(targets[1:])
            positions[row, at:end] = torch.arange(len(tokens))
            owner[row, at:end] = number
            at = end
    same = owner[:, :, None] == owner[:, None, :]
    causal = torch.ones((width, width), dtype=torch.bool).tril()
    return Batch(ids=ids, labels=labels, positions=positions, seen=(same & causal)[:, None])
