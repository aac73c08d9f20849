"""What `trueline align --check` looks for before a step is taken: the known oversights, one function each.

Each function gets the :class:`Setup` and returns what is wrong, or None. ``CHECKS`` is the list. A *fault*
spoils the training; a *warning* is something that is usually not meant. The data's own checks are those of
``trueline data audit``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from trueline.core.messages import Conversation, assistant, user

Grade = Literal["fault", "warning"]
_SAID = "trueline answers"
MUCH_CUT = 0.05  # share of answers that max_length cuts, above which it is a fault
FULL_RATES = {
    1e8: (1e-5, 5e-3),
    1e10: (1e-7, 2e-4),
    float("inf"): (1e-8, 5e-5),
}  # parameters below: usual rates
LORA_FACTOR = 10.0  # adapters take about ten times the rate of full weights
BF16_STEP = 2**-9 * 0.02  # half of bf16's spacing relative to a typical weight of 0.02


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
    """A local target with the treatment that is to train it; ``rows`` are (prompt, answers)."""

    target: Any
    treatment: Any
    rows: Sequence[tuple[Conversation, tuple[str, ...]]]

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
        messages = [{"role": "user", "content": "trueline asks"}, {"role": "assistant", "content": _SAID}]
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False))

    @property
    def shows_answers(self) -> bool:
        """Whether an answer can be tokenised at all."""
        return self.said is None or _SAID in self.said

    @cached_property
    def trees(self) -> Sequence[Any]:
        """Prompts and answers as they will be trained, uncut."""
        from trueline.treatments.copies import codec_of

        if not self.shows_answers or self.tokenizer.eos_token is None:
            return ()
        codec = codec_of(self.target)
        return [codec.tree(prompt, answers) for prompt, answers in self.rows]

    @property
    def max_length(self) -> int:
        """Tokens of prompt and answer that will be kept."""
        window = self.target.context_window
        asked: int = getattr(self.treatment, "max_length", 1024)
        return asked if window is None else min(asked, window)


def no_chat_template(setup: Setup) -> Oversight | None:
    """The tokenizer has no chat template."""
    if setup.said is not None:
        return None
    return Oversight(
        name="no chat template", grade="warning",
        what="the tokenizer has no chat template, so the plain one (User:, Assistant:) is used",
        why="a model that is served with another format meets prompts that it was not trained on",
        fix="set tokenizer.chat_template to the format in which the model will be asked",
    )  # fmt: skip


def answers_not_shown(setup: Setup) -> Oversight | None:
    """The template leaves out what the assistant says."""
    if setup.shows_answers:
        return None
    return Oversight(
        name="answers not shown", grade="fault", what="the chat template leaves out the assistant's turns",
        why="there would be nothing to learn", fix="use a template that renders assistant messages",
    )  # fmt: skip


def beginning_token(setup: Setup) -> Oversight | None:
    """The beginning token is missing, or doubled."""
    begin = setup.tokenizer.bos_token_id
    adds = begin is not None and begin in setup.target.encoding.raw_prefix
    tokens = setup.target.encoding.encode((user("trueline asks"),))
    count = next((k for k, token in enumerate(tokens) if token != begin), len(tokens))
    if begin is None or count == 1 or (count == 0 and not adds):
        return None
    state = "is missing" if count == 0 else f"stands {count} times"
    return Oversight(
        name="beginning token", grade="fault",
        what=f"{setup.tokenizer.bos_token} {state} at the start of a templated prompt",
        why="the model was trained with exactly one (SimPO #21)",
        fix="write {{ bos_token }} once in the chat template",
    )  # fmt: skip


def no_end_token(setup: Setup) -> Oversight | None:
    """Nothing ends an answer."""
    if setup.tokenizer.eos_token is None:
        what, grade = "the tokenizer has no end token", "fault"
    elif setup.said is not None and setup.shows_answers and not _ends_turn(setup):
        what, grade = "the chat template writes no end token after an assistant's words", "warning"
    else:
        return None
    return Oversight(
        name="no end token", grade=grade, what=what,  # type: ignore[arg-type]
        why="a model that never learns the end token never stops (TRL #2209)",
        fix="set tokenizer.eos_token, and write it after assistant messages",
    )  # fmt: skip


def _ends_turn(setup: Setup) -> bool:
    tail = str(setup.said).partition(_SAID)[2]
    names = setup.tokenizer.convert_ids_to_tokens(sorted(setup.ends))
    return any(name in tail for name in names)


def end_is_pad(setup: Setup) -> Oversight | None:
    """End token and pad token are one."""
    end, pad = setup.tokenizer.eos_token_id, setup.tokenizer.pad_token_id
    if end is None or end != pad:
        return None
    return Oversight(
        name="end token is pad token", grade="warning",
        what=f"{setup.tokenizer.eos_token} both ends and pads",
        why="tools that mask pads mask the end token too, and the model never learns to stop; Trueline keeps it",
        fix="give the tokenizer a pad token of its own before the folder is trained elsewhere",
    )  # fmt: skip


def merged_boundary(setup: Setup) -> Oversight | None:
    """Tokens merge where the prompt ends and the answer begins."""
    merged = sum(
        len(tree.trunk) < len(setup.target.encoding.encode(prompt))
        for tree, (prompt, answers) in zip(setup.trees, setup.rows)
        if len({answer[:1] for answer in answers}) == len(answers)
    )
    if not merged:
        return None
    return Oversight(
        name="merged boundary", grade="warning",
        what=f"in {merged} of {len(setup.rows)} rows a token spans the end of the prompt",
        why="tokenised apart, prompt and answer give tokens that the model never sees (TRL #2209, #4908); "
        "Trueline tokenises them together",
        fix="end the generation prompt with a special token or a line break",
    )  # fmt: skip


def cut_answers(setup: Setup) -> Oversight | None:
    """max_length cuts answers, or leaves no room for them."""
    branches = [len(tree.trunk) + len(branch) for tree in setup.trees for branch in tree.branches]
    cut = sum(length > setup.max_length for length in branches)
    if not cut:
        return None
    return Oversight(
        name="cut answers", grade="fault" if cut > MUCH_CUT * len(branches) else "warning",
        what=f"{cut} of {len(branches)} answers are longer than max_length {setup.max_length} allows",
        why="what is cut teaches no end, and long answers are compared by their beginnings",
        fix=f"raise max_length to {max(branches)}, or drop these rows",
    )  # fmt: skip


def window_exceeded(setup: Setup) -> Oversight | None:
    """max_length goes beyond what the model can read, where rows need it."""
    window, asked = setup.target.context_window, getattr(setup.treatment, "max_length", 0)
    longest = max((len(t.trunk) + len(b) for t in setup.trees for b in t.branches), default=0)
    if window is None or asked <= window or longest <= window:
        return None
    return Oversight(
        name="window exceeded", grade="warning",
        what=f"max_length {asked} is beyond the model's window of {window}, and a row has {longest} tokens",
        why="rows are cut at the window", fix="shorten the rows, or choose a model with a longer window",
    )  # fmt: skip


def dropout(setup: Setup) -> Oversight | None:
    """The configuration has dropout."""
    config = setup.target.source.config.get_text_config().to_dict()
    found = {k: v for k, v in config.items() if _is_dropout(k) and isinstance(v, float) and v > 0}
    if not found:
        return None
    name, value = next(iter(found.items()))
    return Oversight(
        name="dropout", grade="warning", what=f"config.json has {name} = {value}",
        why="log-probabilities compared under dropout are noise; Trueline turns it off where an objective "
        "compares, other trainers may not",
        fix="set it to 0 for preference and policy-gradient training",
    )  # fmt: skip


def _is_dropout(name: str) -> bool:
    return "dropout" in name or name.endswith("pdrop")


def learning_rate(setup: Setup) -> Oversight | None:
    """The learning rate is far from what models of this size take."""
    rate, size = getattr(setup.treatment, "learning_rate", None), setup.target.source.parameters
    if rate is None:
        return None
    low, high = next(ends for most, ends in FULL_RATES.items() if size < most)
    if getattr(setup.treatment, "lora", False):
        low, high = low * LORA_FACTOR, high * LORA_FACTOR
    if low <= rate <= high:
        return None
    return Oversight(
        name="learning rate", grade="warning",
        what=f"learning rate {rate:g} for {size / 1e6:,.1f} million parameters; usual are {low:g} to {high:g}",
        why="too small does nothing, too large destroys the model",
        fix="sweep it on held-out data before you conclude anything about the method",
    )  # fmt: skip


def half_precision_steps(setup: Setup) -> Oversight | None:
    """Steps that vanish when the trained weights are used in 16 bits."""
    rate = getattr(setup.treatment, "learning_rate", None)
    if (
        rate is None
        or setup.target.source.dtype not in ("bfloat16", "float16")
        or getattr(setup.treatment, "lora", False)
    ):
        return None
    batch, epochs = getattr(setup.treatment, "batch_size", 1), getattr(setup.treatment, "epochs", 1.0)
    steps = getattr(setup.treatment, "steps", None) or max(1, round(epochs * len(setup.rows) / batch))
    moved = rate * steps / 2  # Adam moves a weight by at most about the rate, over a falling schedule
    if moved >= BF16_STEP:
        return None
    return Oversight(
        name="steps lost in 16 bits", grade="warning",
        what=f"{steps} steps at {rate:g} move a weight by about {moved:.1g}, less than bf16 resolves at 0.02",
        why="the trained folder keeps fp32, but used in its base's precision most of the change rounds away",
        fix="train longer, raise the learning rate, or use the result with --dtype float32",
    )  # fmt: skip


CHECKS: Sequence[Callable[[Setup], Oversight | None]] = (
    no_chat_template, answers_not_shown, beginning_token, no_end_token, end_is_pad, merged_boundary,
    cut_answers, window_exceeded, dropout, learning_rate, half_precision_steps,
)  # fmt: skip


def find_oversights(setup: Setup) -> list[Oversight]:
    """What all checks find, in their order."""
    return [found for check in CHECKS if (found := check(setup)) is not None]


def as_prompt(turns: Sequence[tuple[str, str]]) -> Conversation:
    """Turns of the audit as a conversation."""
    return tuple(assistant(text) if role == "assistant" else user(text) for role, text in turns)
