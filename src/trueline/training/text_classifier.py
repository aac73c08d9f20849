"""A small transformer classifier of texts, trained from nothing on a CPU in minutes.

ModernBERT's encoder (Warner et al. 2024, arXiv 2412.13663) at a hundredth of its size, over lower-cased byte-level
byte-pair pieces (Sennrich et al. 2016, 1508.07909) learnt from the texts themselves; its states are averaged and a
linear head gives two logits. Cross-entropy under AdamW with warm-up and a linear decay; the epoch of least log-loss
on held-out texts is kept. Its logits are then divided by the temperature of least log-loss on these (Guo et al.
2017, 1706.04599), which is folded into the head, so that the saved folder needs nothing besides transformers.

Batches hold texts of like length, in an order drawn anew each epoch. The same texts, seed and number of threads give
the same weights. Shapes: N texts of a batch, L tokens of the longest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from .folders import without_bars

LABELS = ("negative", "positive")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WINDOW = 1024  # tokens; a longer text is cut in training, and has no probability afterwards


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierConfig:
    """Size and training; about 0.4 million parameters, most of them in the pieces' vectors."""

    pieces: int = 4096
    width: int = 64
    layers: int = 2
    heads: int = 4
    epochs: int = 8
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    dropout: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedClassifier:
    """The model, its tokenizer, and how it did on the held-out texts: log-loss of each epoch, the epoch kept, the
    temperature, and the log-loss with it."""

    model: Any
    tokenizer: Any
    log_losses: tuple[float, ...]
    epoch: int
    temperature: float
    log_loss: float

    @property
    def parameters(self) -> int:
        """Weights of the model."""
        return sum(p.numel() for p in self.model.parameters())

    def save(self, folder: Path) -> None:
        """A standard transformers folder."""
        with without_bars():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)


def train_classifier(
    fit: Sequence[tuple[str, bool]], tune: Sequence[tuple[str, bool]], config: ClassifierConfig
) -> TrainedClassifier:
    """Train on (text, label) pairs, choosing epoch and temperature on ``tune``."""
    torch.manual_seed(config.seed)
    tokenizer = learn_pieces([text for text, _ in fit], config.pieces)
    model = _new_model(config, tokenizer)
    train, held = _encode(tokenizer, fit), _encode(tokenizer, tune)
    steps = config.epochs * -(-len(train) // config.batch)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    warm = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, (steps - step) / max(1, steps - warm))
    )
    order = torch.Generator().manual_seed(config.seed)
    losses: list[float] = []
    best: dict[str, torch.Tensor] = {}
    for _ in range(config.epochs):
        model.train()
        for rows in _batches(train, config.batch, order):
            inputs, labels = _padded(rows, tokenizer.pad_token_id)
            loss = functional.cross_entropy(model(**inputs).logits, labels)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
        logits, truth = _logits(model, held, tokenizer.pad_token_id)
        losses.append(float(functional.cross_entropy(logits, truth)))
        if losses[-1] == min(losses):
            best = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(best)
    logits, truth = _logits(model, held, tokenizer.pad_token_id)
    temperature = best_temperature(logits, truth)
    cooled = float(functional.cross_entropy(logits / temperature, truth))
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter /= temperature
    return TrainedClassifier(
        model=model.eval(),
        tokenizer=tokenizer,
        log_losses=tuple(losses),
        epoch=1 + losses.index(min(losses)),
        temperature=temperature,
        log_loss=cooled,
    )


def best_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The T in [1/16, 16] of least mean cross-entropy of logits [N, 2] / T, by golden sections of log₂ T."""
    low, high, ratio = -4.0, 4.0, (5**0.5 - 1) / 2

    def loss(exponent: float) -> float:
        return float(functional.cross_entropy(logits.double() / 2.0**exponent, labels))

    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(2.0 ** ((low + high) / 2))


def learn_pieces(texts: Sequence[str], pieces: int) -> Any:
    """A byte-level tokenizer of at most so many pieces, lower-cased, that frames a text or a pair of texts."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE(unk_token="[UNK]"))
    raw.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=pieces,
        min_frequency=2,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(mark, SPECIAL.index(mark)) for mark in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=WINDOW,
        model_input_names=["input_ids", "attention_mask"],
    )


def _new_model(config: ClassifierConfig, tokenizer: Any) -> Any:
    from transformers import ModernBertConfig, ModernBertForSequenceClassification

    return ModernBertForSequenceClassification(
        ModernBertConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            intermediate_size=2 * config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=WINDOW,
            global_attn_every_n_layers=1,
            embedding_dropout=config.dropout,
            mlp_dropout=config.dropout,
            classifier_dropout=config.dropout,
            classifier_pooling="mean",
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.cls_token_id,
            eos_token_id=tokenizer.sep_token_id,
            cls_token_id=tokenizer.cls_token_id,
            sep_token_id=tokenizer.sep_token_id,
            id2label=dict(enumerate(LABELS)),
            label2id={name: n for n, name in enumerate(LABELS)},
        )
    )


_Row = tuple[list[int], int]


def _encode(tokenizer: Any, examples: Sequence[tuple[str, bool]]) -> list[_Row]:
    encoded = tokenizer([text for text, _ in examples], truncation=True, max_length=WINDOW)["input_ids"]
    return [(ids, int(label)) for ids, (_, label) in zip(encoded, examples)]


def _batches(rows: list[_Row], size: int, order: torch.Generator) -> Iterator[list[_Row]]:
    """Texts of like length together: shuffled, sorted within stretches of sixteen batches, batches shuffled."""
    shuffled = [rows[i] for i in torch.randperm(len(rows), generator=order).tolist()]
    stretches = [
        sorted(shuffled[at : at + 16 * size], key=lambda row: len(row[0]))
        for at in range(0, len(rows), 16 * size)
    ]
    found = [part[at : at + size] for part in stretches for at in range(0, len(part), size)]
    for i in torch.randperm(len(found), generator=order).tolist():
        yield found[i]


def _padded(rows: Sequence[_Row], pad: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in rows])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in rows])
    return {"input_ids": ids, "attention_mask": mask}, torch.tensor([label for _, label in rows])


@torch.no_grad()
def _logits(model: Any, rows: list[_Row], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [N, 2] and labels of all rows."""
    model.eval()
    by_length = sorted(rows, key=lambda row: len(row[0]))
    parts = [_padded(by_length[at : at + 64], pad) for at in range(0, len(rows), 64)]
    return torch.cat([model(**inputs).logits for inputs, _ in parts]), torch.cat([y for _, y in parts])
