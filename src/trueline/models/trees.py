"""A prompt and its branches, as tokens: what a choice, a preference pair or a group of rollouts has in
common.

The cut between trunk and branches is the longest token prefix that the prompt shares with *every* tokenised
whole (prompt + continuation). Tokens that merge over the boundary therefore belong to the continuation, as
they must: tokenising prompt and continuation apart scores a string that the model would never read (TRL
#2209, #4908).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from trueline.core.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One trunk and K branches, as token ids; a branch's first token is predicted from the last trunk token.

    A branch may be empty (its log-probabilities are an empty tensor); the trunk may not, because then nothing
    would predict the first token.
    """

    trunk: tuple[int, ...]
    branches: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not self.trunk:
            raise InputError(
                "a tree has an empty trunk, so nothing predicts the first token of its branches; "
                "put a beginning-of-sequence token before the prompt."
            )
        if not self.branches:
            raise InputError("a tree has no branches; give at least one continuation.")


def build_tree(wholes: Sequence[Sequence[int]], prompt: Sequence[int]) -> Tree:
    """The tree of K tokenised wholes (each prompt + continuation) over the tokenised prompt.

    Raises InputError when no token is common to the prompt and all wholes (an empty prompt, or a first token
    that merges differently).
    """
    if not wholes:
        raise InputError("no continuations were given; give at least one.")
    cut = min(common_prefix(prompt, whole) for whole in wholes)
    if cut == 0:
        raise InputError(
            f"the prompt ({len(prompt)} tokens) and its {len(wholes)} continuations share no first token, "
            "so nothing predicts where they part; put a beginning-of-sequence token before the prompt."
        )
    return Tree(trunk=tuple(prompt[:cut]), branches=tuple(tuple(whole[cut:]) for whole in wholes))


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading tokens are equal."""
    for place, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return place
    return min(len(a), len(b))
