"""What an objective reads from a network: log-probabilities of answer tokens, or one value an answer."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from trueline.core.errors import InputError
from trueline.models.branches import Path, choose_path, final_states, score_trees
from trueline.models.paths import head_of
from trueline.models.trees import Tree


def outputs_of(
    model: nn.Module,
    trees: Sequence[Tree],
    reads: Literal["logps", "values"],
    *,
    token_budget: int,
    path: Path = "auto",
) -> list[list[Tensor]]:
    """Per tree and branch: log-probabilities [T] of its tokens, or the value [1] at its last token."""
    if not trees:
        return []
    if reads == "logps":
        return score_trees(model, trees, token_budget=token_budget, path=path)
    head = value_head(model)
    states = final_states(model, trees, token_budget=token_budget, path=path)
    # at least fp32: rewards are compared by small differences
    return [[wide(head(state)) for state in branches] for branches in states]


def wide(values: Tensor) -> Tensor:
    """fp32, or fp64 where it is that already."""
    return values.float() if values.dtype.itemsize < 4 else values


def value_head(model: nn.Module) -> nn.Module:
    """The one-number head of a sequence-classification model."""
    head = getattr(model, "score", None)
    if not isinstance(head, nn.Module) or getattr(model.config, "num_labels", None) != 1:
        raise InputError(
            f"{type(model).__name__} has no value head with one output; load the reward model with "
            "AutoModelForSequenceClassification and num_labels=1."
        )
    return head


def look_at(model: nn.Module, reads: Literal["logps", "values"]) -> None:
    """Let branch scoring find out its path now: its probe compares numbers, which autocast would blur."""
    choose_path(model)
    if reads == "logps":
        head_of(model)
    else:
        value_head(model)
