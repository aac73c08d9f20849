"""A transformers sequence-classification model: a text, or a pair of texts, to probabilities over labels.

Requests that arrive while a batch runs make up the next one, in a worker thread. fp32 on the CPU, safetensors
only, no code of the folder's own. Nothing is cut: a text longer than the model reads has no probabilities.

Shapes: N texts of a batch, C labels.
"""

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint

from .loading import LoadOptions, check_pair, load_classifier, load_config, load_tokenizer
from .model_folder import find_folder
from .sources import FolderSource

BATCH = 16
_UNBOUNDED = 10**9  # transformers writes "no limit" as a huge number


class TooLongError(InputError):
    """A text has more tokens than the classifier reads."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Waiting:
    texts: tuple[str, ...]
    answer: "Future[tuple[float, ...]]"


class SequenceClassifier:
    """The model of a folder or hub name; checked now, loaded when first needed.

    Probabilities are a softmax over the labels; for a model of several labels that hold at once
    (``problem_type`` multi_label_classification) or of one label, a sigmoid of each.
    """

    def __init__(self, name_or_folder: str) -> None:
        self._folder = find_folder(name_or_folder)
        source = FolderSource(self._folder, LoadOptions(dtype="float32"))
        config = load_config(self._folder, source.options)
        if config.problem_type == "regression":
            raise InputError(
                f"{self._folder.path} predicts a number without bounds (problem_type regression), not the "
                "probability of a label; give a classifier."
            )
        self.labels = tuple(str(config.id2label[n]) for n in range(config.num_labels))
        self.digest = fingerprint({"files": source.digest(), "dtype": "float32"})
        self._independent = config.problem_type == "multi_label_classification" or len(self.labels) == 1
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="classifier")

    def index(self, label: int | str) -> int:
        """The place of a label given by its place or its name."""
        if isinstance(label, int) and 0 <= label < len(self.labels):
            return label
        if label in self.labels:
            return self.labels.index(str(label))
        known = ", ".join(f"{n} {name!r}" for n, name in enumerate(self.labels))
        raise InputError(f"{self._folder.path} has no label {label!r}; it has {known}.")

    async def probabilities(self, *texts: str) -> tuple[float, ...]:
        """The probability of each label for a text or a pair of texts, [C]; NaN where the model gives none.

        Raises:
            TooLongError: the model does not read so many tokens.
        """
        request = _Waiting(texts=texts, answer=Future())
        with self._lock:
            self._waiting.append(request)
        self._worker.submit(self._run_batch)
        return await asyncio.wrap_future(request.answer)

    def _run_batch(self) -> None:
        """Answers what waits, up to a batch; an error goes to those who asked."""
        with self._lock:
            taken, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        batch = [request for request in taken if request.answer.set_running_or_notify_cancel()]
        if not batch:
            return
        try:
            answers = self._read([request.texts for request in batch])
        except Exception as error:  # noqa: BLE001 - raised again by every request that waits for it
            for request in batch:
                request.answer.set_exception(error)
            return
        for request, answer in zip(batch, answers):
            if isinstance(answer, TooLongError):
                request.answer.set_exception(answer)
            else:
                request.answer.set_result(answer)

    def _read(self, batch: list[tuple[str, ...]]) -> list[tuple[float, ...] | TooLongError]:
        import torch

        encoded = [self._tokenizer(*texts, verbose=False) for texts in batch]
        sizes = [len(entry["input_ids"]) for entry in encoded]
        answers: list[Any] = [TooLongError(f"{n} tokens, the classifier reads {self._most}") for n in sizes]
        fitting = [n for n, size in enumerate(sizes) if size <= self._most]
        groups = [fitting] if self._tokenizer.pad_token is not None else [[n] for n in fitting]
        for group in filter(None, groups):
            rows = [encoded[n] for n in group]
            padded = self._tokenizer.pad(rows, return_tensors="pt") if len(rows) > 1 else _single(rows[0])
            with torch.inference_mode():
                logits = self._model(**padded).logits.float()  # [N, C]
            given = logits.sigmoid() if self._independent else logits.softmax(dim=-1)
            for n, row in zip(group, given.tolist()):
                answers[n] = tuple(row)
        return answers

    @cached_property
    def _tokenizer(self) -> Any:
        tokenizer = load_tokenizer(self._folder)
        tokenizer.padding_side = "right"
        return tokenizer

    @cached_property
    def _model(self) -> Any:
        model = load_classifier(self._folder)
        check_pair(model, self._tokenizer, str(self._folder.path))
        if model.config.pad_token_id is None:
            model.config.pad_token_id = self._tokenizer.pad_token_id  # decoders find the last token by it
        return model

    @cached_property
    def _most(self) -> int:
        """Tokens that the model reads: the least of what tokenizer and configuration say."""
        stated = [
            self._tokenizer.model_max_length,
            getattr(self._model.config, "max_position_embeddings", None),
        ]
        return min([int(n) for n in stated if n is not None and 0 < n < _UNBOUNDED], default=_UNBOUNDED)


def _single(row: Any) -> dict[str, Any]:
    import torch

    return {name: torch.tensor([values]) for name, values in row.items()}
