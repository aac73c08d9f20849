"""A model with the treatment that is to train it and its rows, and what may be wrong with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from trueline.core.messages import Prompt

Grade = Literal["fault", "warning", "note"]
SAID = "trueline answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Oversight:
    """What is wrong, why it matters (with its reference), and the fix."""

    name: str
    grade: Grade
    what: str
    why: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A local target with the treatment that is to train it; ``rows`` are (prompt, answers), a plain text being an
    answer to the empty text."""

    target: Any
    treatment: Any
    rows: Sequence[tuple[Prompt, tuple[str, ...]]]

    @property
    def tokenizer(self) -> Any:
        """The target's tokenizer."""
        return self.target.tokenizer

    @cached_property
    def ends(self) -> frozenset[int]:
        """Every token that ends an answer when the model is used."""
        from trueline.models.sources import end_tokens

        return end_tokens(self.target.source)

    @cached_property
    def said(self) -> str | None:
        """What the template makes of a short conversation; None without a template of its own."""
        if self.target.encoding.template.source == "plain":
            return None
        messages = [{"role": "user", "content": "trueline asks"}, {"role": "assistant", "content": SAID}]
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False))

    @property
    def shows_answers(self) -> bool:
        """Whether an answer can be tokenised at all."""
        return self.said is None or SAID in self.said

    @cached_property
    def trees(self) -> Sequence[Any]:
        """Prompts and answers as they will be trained, uncut."""
        from trueline.treatments.copies import codec_of

        if not self.shows_answers or self.tokenizer.eos_token is None:
            return ()
        codec = codec_of(self.target)
        return [
            codec.document(answers[0]) if isinstance(prompt, str) else codec.tree(prompt, answers)
            for prompt, answers in self.rows
        ]

    @property
    def max_length(self) -> int:
        """Tokens of prompt and answer that will be kept."""
        window = self.target.context_window
        asked: int = getattr(self.treatment, "max_length", 1024)
        return asked if window is None else min(asked, window)
