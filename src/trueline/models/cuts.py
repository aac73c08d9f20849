"""Where a text is cut into what is given and what is scored.

*common*: the longest token prefix that the prompt shares with every whole. All that was tokenised as one text
is scored as the model would read it (``trees``).

*harness*: the cut of lm-eval 0.4.13, for comparison with numbers made by it. Spaces at the prompt's end belong
to the continuation; the continuation's tokens are those of the whole after as many as the prompt has by itself.
Where a token merges over the boundary, the prompt's own tokens are followed by what is left of the whole, a
string that no tokenizer would write. An empty prompt is the beginning-of-sequence token, or else the end token.

Documents longer than the context window are read in windows under either cut: each token is predicted once,
the last ones from a window that is full.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal, get_args

from trueline.core.errors import InputError, NotMeasurableError

from .trees import Tree

Cut = Literal["common", "harness"]


def known_cut(cut: str) -> Cut:
    """The cut of this name; raises InputError for another."""
    for name in get_args(Cut):
        if cut == name:
            return name  # type: ignore[no-any-return]
    raise InputError(f"unknown cut {cut!r}; choose 'common', or 'harness' for parity with lm-eval.")


def moved_spaces(prompt: str, continuations: Sequence[str]) -> tuple[str, list[str]]:
    """The prompt without the white space at its end, which every continuation now begins with."""
    kept = prompt.rstrip()
    return kept, [prompt[len(kept) :] + continuation for continuation in continuations]


def harness_tree(prompt: Sequence[int], wholes: Sequence[Sequence[int]]) -> Tree:
    """The tokens of the prompt, and of each whole those that come after as many."""
    branches = tuple(tuple(whole[len(prompt) :]) for whole in wholes)
    if not all(branches):
        raise NotMeasurableError(
            "a continuation merges wholly into the prompt's last token, so the harness's cut leaves nothing of "
            "it to score; use the common cut."
        )
    return Tree(trunk=tuple(prompt), branches=branches)


def windows(tokens: Sequence[int], size: int) -> list[Tree]:
    """A document in trees of one branch: every token but the first is scored once.

    ``size`` is the context window. Each window but the last scores ``size`` tokens after one; the last scores
    what is left, after as much of what came before as fits.
    """
    if len(tokens) < 2:
        return [Tree(trunk=tuple(tokens), branches=((),))]
    trees, done = [], 1
    while done < len(tokens):
        end = min(done + size, len(tokens))
        start = max(0, end - size - 1)
        trees.append(Tree(trunk=tuple(tokens[start:done]), branches=(tuple(tokens[done:end]),)))
        done = end
    return trees


def join_windows(windows: Sequence[Sequence[Any]]) -> Any:
    """What was found of a document's tokens, window after window: a list, or a tuple of lists.

    ``windows`` holds what was found of each window's branches, of which there is one.
    """
    parts = [branch for (branch,) in windows]
    if isinstance(parts[0], tuple):
        return tuple(list(chain(*column)) for column in zip(*parts))
    return list(chain(*parts))
