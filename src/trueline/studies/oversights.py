"""What `trueline align --check` looks for before a step is taken: the known oversights, one function each.

Each function gets the :class:`Setup` and returns what is wrong, or None. ``CHECKS`` is the list; those of template
and lengths stand here. A *fault* spoils the training; a *warning* is something that is usually not meant; a *note*
is dealt with, and worth knowing. The data's own checks are those of ``trueline data audit``.
"""

from collections.abc import Callable, Sequence

from trueline.core.messages import user

from .alignment_setup import SAID, Oversight, Setup
from .settings_oversights import (
    biased_divergence,
    dropout,
    half_precision_steps,
    learning_rate,
    reward_tokenizer,
    tied_embeddings,
)

MUCH_CUT = 0.05  # share of answers that max_length cuts, above which it is a fault


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
        why="a model that never learns the end token never stops",
        fix="set tokenizer.eos_token, and write it after assistant messages",
    )  # fmt: skip


def _ends_turn(setup: Setup) -> bool:
    tail = str(setup.said).partition(SAID)[2]
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
        fix=_room(max(branches), setup.target.context_window),
    )  # fmt: skip


def _room(longest: int, window: int | None) -> str:
    if window is None or longest <= window:
        return f"raise max_length to {longest}, or drop these rows"
    return f"drop rows beyond the model's window of {window} tokens; the longest has {longest}"


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


CHECKS: Sequence[Callable[[Setup], Oversight | None]] = (
    no_chat_template, answers_not_shown, beginning_token, no_end_token, end_is_pad, merged_boundary,
    cut_answers, window_exceeded, dropout, learning_rate, half_precision_steps, tied_embeddings,
    biased_divergence, reward_tokenizer,
)  # fmt: skip


def find_oversights(setup: Setup) -> list[Oversight]:
    """What all checks find, in their order."""
    return [found for check in CHECKS if (found := check(setup)) is not None]
