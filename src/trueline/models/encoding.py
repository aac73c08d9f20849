"""Between text and tokens for one target: prompts, wholes to be scored, and generated answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from trueline.core.errors import NotMeasurableError
from trueline.core.messages import Prompt

from .cuts import Cut, harness_tree, moved_spaces, windows
from .sources import decode
from .templates import ChatTemplate, split_reasoning
from .trees import Tree, build_tree

_CONTEXT = 8  # prompt tokens given to the decoder besides the answer, so that its first space survives


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """An answer as generated and as delivered, and the reasoning that went before it."""

    raw: str
    text: str
    reasoning: str | None


@dataclass(frozen=True, eq=False)
class Encoding:
    """A tokenizer with its template and the target's system prompt.

    Chat templates write their own beginning-of-sequence token; raw text gets the one that the tokenizer would
    add.
    """

    tokenizer: Any
    template: ChatTemplate
    system_prompt: str | None
    cut: Cut = "common"

    @cached_property
    def raw_prefix(self) -> tuple[int, ...]:
        """What the tokenizer puts before raw text."""
        with_special = self._tokens("x", special=True)
        plain = self._tokens("x")
        for start in range(len(with_special) - len(plain) + 1):
            if with_special[start : start + len(plain)] == plain:
                return with_special[:start]
        return ()

    def text_of(self, prompt: Prompt) -> str:
        """The text to be continued."""
        return prompt if isinstance(prompt, str) else self.template.render(prompt, self.system_prompt)

    def encode(self, prompt: Prompt, continuation: str = "") -> tuple[int, ...]:
        """Tokens of the prompt with its continuation, tokenised as one text.

        A template that is not the tokenizer's own writes no special tokens, so it is treated as raw text.
        """
        tokens = self._tokens(self.text_of(prompt) + continuation)
        return (*self.raw_prefix, *tokens) if self._is_raw(prompt) else tokens

    def start(self, prompt: Prompt) -> tuple[int, ...]:
        """Tokens from which generation starts: never none, where the tokenizer has a beginning token."""
        tokens = self.encode(prompt)
        begin = self.tokenizer.bos_token_id
        if not tokens and begin is None:
            raise NotMeasurableError(
                "nothing can be generated after an empty prompt: this tokenizer has no beginning-of-sequence "
                "token; give at least one character."
            )
        return tokens or (int(begin),)

    def tree(self, prompt: Prompt, continuations: Sequence[str]) -> Tree:
        """Prompt and continuations as a tree, cut at the longest token prefix common to the prompt and all
        wholes.

        Where that is empty (a whole document after an empty prompt, or a first token that merges
        differently), the beginning-of-sequence token is put before all; in a tokenizer without one, a first
        token shared by all wholes is given and not scored.

        Under the harness's cut see ``cuts``.

        Raises:
            NotMeasurableError: nothing would predict the first token.
        """
        if self.cut == "harness":
            return self._harness_tree(prompt, continuations)
        start, wholes = self.encode(prompt), [self.encode(prompt, text) for text in continuations]
        if all(whole[:1] == start[:1] and start for whole in wholes):
            return build_tree(wholes, start)
        begin = self.tokenizer.bos_token_id
        if begin is not None:
            return build_tree([(int(begin), *whole) for whole in wholes], (int(begin), *start))
        first = {whole[:1] for whole in wholes}
        if len(first) != 1 or first == {()}:
            raise NotMeasurableError(
                f"the {len(wholes)} continuations of {self.text_of(prompt)!r} share no first token, and this "
                "tokenizer has no beginning-of-sequence token from which to predict it; give a longer prompt."
            )
        return build_tree(wholes, first.pop())

    def windows(self, document: str, size: int) -> list[Tree]:
        """A whole document as trees of one branch, each within a context window of ``size`` tokens."""
        (branch,) = (whole := self.tree("", (document,))).branches
        return windows((*whole.trunk, *branch), size)

    def _harness_tree(self, prompt: Prompt, continuations: Sequence[str]) -> Tree:
        text, wholes = moved_spaces(self.text_of(prompt), continuations)
        before = self.raw_prefix if self._is_raw(prompt) else ()
        if text:
            start = (*before, *self._tokens(text))
            return harness_tree(start, [(*before, *self._tokens(text + whole)) for whole in wholes])
        begin = self.tokenizer.bos_token_id
        begin = self.tokenizer.eos_token_id if begin is None else begin
        if begin is None:
            raise NotMeasurableError(
                "nothing predicts the first token: this tokenizer has neither a beginning- nor an "
                "end-of-sequence token; give a longer prompt."
            )
        return harness_tree((int(begin),), [(int(begin), *self._tokens(whole)) for whole in wholes])

    def answer(self, prompt_tokens: Sequence[int], tokens: Sequence[int]) -> str:
        """The text that generated tokens add to the prompt's, special tokens left out."""
        before = prompt_tokens[-_CONTEXT:]
        head = decode(self.tokenizer, before, special=False)
        whole = decode(self.tokenizer, (*before, *tokens), special=False)
        return whole[len(head) :] if whole.startswith(head) else decode(self.tokenizer, tokens, special=False)

    def spoken(
        self, prompt: Prompt, prompt_tokens: Sequence[int], tokens: Sequence[int], stops: Sequence[str]
    ) -> Spoken:
        """What generated tokens say: cut before the first of ``stops``, reasoning kept apart."""
        raw = self.answer(prompt_tokens, tokens)
        ends = [at for stop in stops if (at := raw.find(stop)) >= 0]
        text, reasoning = raw[: min(ends)] if ends else raw, None
        if self.template.reasons and not isinstance(prompt, str):
            opened = self.text_of(prompt).rstrip().endswith("<think>")
            reasoning, text = split_reasoning(text, opened=opened)
        return Spoken(raw=raw, text=text, reasoning=reasoning)

    def _is_raw(self, prompt: Prompt) -> bool:
        return isinstance(prompt, str) or self.template.source == "plain"

    def _tokens(self, text: str, *, special: bool = False) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=special, verbose=False).input_ids)
