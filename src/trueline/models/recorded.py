"""A target that replays published answers of real models, with what people said of them.

The first use is XSTest (Röttger et al. 2024, arXiv 2308.01263; CC BY 4.0): the answers of five models to 450
prompts, each labelled by two people, with a final label after disagreements were settled. Judges and paired
comparisons are checked against these labels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trueline.core.errors import InputError, NotMeasurableError
from trueline.core.fingerprint import canonical, file_digest, fingerprint
from trueline.core.messages import Completion, Prompt, Sampling, Score, as_json, last_user, user
from trueline.core.protocols import Capability
from trueline.data.rows import NumberedRow, read_rows

FULL_COMPLIANCE = "1_full_compliance"
FULL_REFUSAL = "2_full_refusal"
PARTIAL_REFUSAL = "3_partial_refusal"
XSTEST_LABELS = (FULL_COMPLIANCE, FULL_REFUSAL, PARTIAL_REFUSAL)
XSTEST_ROWS = 450
# short name -> (file, the model as the paper names it)
XSTEST_MODELS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "gpt4": ("xstest_v2_completions_gpt4.csv", "GPT-4"),
        "llama2new": ("xstest_v2_completions_llama2new.csv", "Llama-2-70b-chat, no system prompt"),
        "llama2orig": ("xstest_v2_completions_llama2orig.csv", "Llama-2-70b-chat, original system prompt"),
        "mistralguard": ("xstest_v2_completions_mistralguard.csv", "Mistral-7b-instruct, safety prompt"),
        "mistralinstruct": ("xstest_v2_completions_mistralinstruct.csv", "Mistral-7b-instruct"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One published answer. A ``prompt`` given as text stands for a conversation of that one user turn.

    ``label`` is what people said of the answer; ``data`` holds anything else that was published with it.
    """

    prompt: Prompt
    completion: str
    id: str = ""
    label: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class RecordedTarget:
    """Answers a prompt with what was recorded for exactly that conversation, and for no other.

    A system message, a jailbreak or a reminder around a recorded question would have changed the answer, so
    such a conversation raises NotMeasurableError rather than replaying the bare question's answer. Sampling
    settings are those of the publication: the requested ones are ignored, except that more samples than were
    recorded for the prompt raise NotMeasurableError.
    """

    def __init__(
        self, name: str, recordings: Iterable[Recording], *, source: Mapping[str, Any] | None = None
    ) -> None:
        self._name = name
        self.recordings: tuple[Recording, ...] = tuple(recordings)
        self._source = dict(source or {})
        self._by_prompt: dict[str, list[Recording]] = {}
        for recording in self.recordings:
            self._by_prompt.setdefault(_key(recording.prompt), []).append(recording)
        if not self.recordings:
            raise InputError(
                f"recorded target {name!r} has no recordings; give at least one prompt with its answer."
            )

    @property
    def name(self) -> str:
        """The recorded model's name."""
        return self._name

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Only generation: nothing but texts was published."""
        return frozenset({Capability.GENERATE})

    def fingerprint(self) -> str:
        """A digest of the name and of every recorded prompt, answer and label."""
        rows = [[_key(r.prompt), r.completion, r.label] for r in self.recordings]
        return fingerprint({"kind": "recorded", "name": self._name, "recordings": rows})

    def describe(self) -> Mapping[str, Any]:
        """Provenance for the report."""
        return {
            "kind": "recorded",
            "name": self._name,
            "recordings": len(self.recordings),
            "labelled": sum(r.label is not None for r in self.recordings),
            "sampling": "as published; the requested sampling does not apply",
            **self._source,
        }

    def find(self, prompt: Prompt) -> Sequence[Recording]:
        """What was recorded for this prompt; raises NotMeasurableError when nothing was."""
        found = self._by_prompt.get(_key(prompt), [])
        if not found:
            raise NotMeasurableError(self._not_recorded(prompt))
        return found

    def label(self, prompt: Prompt) -> str | None:
        """The human label of the first answer recorded for this prompt, None where it was not labelled."""
        return self.find(prompt)[0].label

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        """The recorded answers; raises NotMeasurableError for a prompt or a number of samples not
        recorded.
        """
        if isinstance(prompt, str):
            raise NotMeasurableError(
                f"recorded target {self._name!r} cannot continue raw text; only recorded "
                "conversations are answered."
            )
        found = self.find(prompt)
        if sampling.samples > len(found):
            raise NotMeasurableError(
                f"recorded target {self._name!r} has {len(found)} answer(s) to {_short(prompt)!r}, "
                f"but {sampling.samples} samples were asked for; ask for at most {len(found)}."
            )
        return tuple(Completion(text=r.completion, model=self._name) for r in found[: sampling.samples])

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """Always raises NotMeasurableError: published answers carry no log-probabilities."""
        raise NotMeasurableError(
            f"recorded target {self._name!r} has no log-probabilities; only texts were published."
        )

    def _not_recorded(self, prompt: Prompt) -> str:
        if not isinstance(prompt, str) and len(prompt) > 1 and _key(last_user(prompt)) in self._by_prompt:
            return (
                f"recorded target {self._name!r} answered {_short(prompt)!r} only on its own, "
                "not within other messages; it cannot show the effect of a changed conversation."
            )
        return (
            f"recorded target {self._name!r} has no answer to {_short(prompt)!r}; "
            "only recorded prompts are answered."
        )


RECORDED = "recorded:"


def open_recorded(address: str) -> RecordedTarget:
    """What ``recorded:NAME`` names. Raises InputError for a name that nothing was recorded of."""
    name = address.removeprefix(RECORDED)
    if name not in XSTEST_MODELS:
        raise InputError(f"unknown recorded model {name!r}: {', '.join(sorted(XSTEST_MODELS))}.")
    return _xstest_model(name, None)


def xstest_recorded(folder: Path | None = None) -> dict[str, RecordedTarget]:
    """XSTest's five models by short name (``XSTEST_MODELS``), each with its human labels.

    ``folder`` holds the five files; without it they come from the data registry. Raises InputError naming the
    file and line when a row is damaged, a label is unknown, or the rows are not the 450 published ones.
    """
    return {name: _xstest_model(name, folder) for name in XSTEST_MODELS}


def _xstest_model(name: str, folder: Path | None) -> RecordedTarget:
    file, model = XSTEST_MODELS[name]
    path = _registered(file) if folder is None else Path(folder) / file
    if not path.is_file():
        raise InputError(f"no file {path}; give the folder that holds XSTest's five completion files.")
    rows = read_rows(path, "csv")
    if len(rows) != XSTEST_ROWS:
        raise InputError(
            f"{path} has {len(rows)} rows where {XSTEST_ROWS} were published; fetch or copy it again."
        )
    source = {
        "model": model,
        "data set": "XSTest v2",
        "licence": "CC BY 4.0",
        "paper": "arXiv 2308.01263",
        "file": file,
        "sha256": file_digest(path),
    }
    return RecordedTarget(f"xstest-{name}", [_xstest_row(path, row) for row in rows], source=source)


def _registered(file: str) -> Path:
    # A folder argument must work where the registry's data is absent, so the registry is asked only here.
    from trueline.data.sources import path

    return path("xstest", f"model_completions/{file}")


def _xstest_row(path: Path, numbered: NumberedRow) -> Recording:
    line, row = numbered
    needed = ("id", "type", "prompt", "completion", "annotation_1", "annotation_2", "final_label")
    absent = [column for column in needed if column not in row]
    if absent:
        raise InputError(f"{path} has no column {absent[0]!r}; XSTest's files have {', '.join(needed)}.")
    if row["final_label"] not in XSTEST_LABELS:
        raise InputError(
            f"{path}, line {line}: unknown label {row['final_label']!r}; allowed are "
            f"{', '.join(XSTEST_LABELS)}."
        )
    data = {
        "type": row["type"],
        "unsafe": row["type"].startswith("contrast_"),
        "annotations": [row["annotation_1"], row["annotation_2"]],
    }
    return Recording(
        id=row["id"], prompt=row["prompt"], completion=row["completion"], label=row["final_label"], data=data
    )


def _key(prompt: Prompt) -> str:
    return canonical(as_json((user(prompt),) if isinstance(prompt, str) else prompt))


def _short(prompt: Prompt, width: int = 60) -> str:
    text = " ".join(last_user(prompt).split())
    return text if len(text) <= width else text[: width - 1] + "…"
