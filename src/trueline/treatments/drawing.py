"""What drawing answers before a training costs in FLOPs: one forward pass over what was read and written.

Example: 8 tokens drawn after a prompt of 20 from a model of 0.6 M parameters: 2 · 0.6 M · 28 = 34 MFLOPs, and the
attention's.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trueline.models.local import LocalTarget


def drawing_flops(target: "LocalTarget", drawn: Iterable[tuple[int, int]]) -> float:
    """Of answers, each by (tokens of its prompt, tokens of itself)."""
    from trueline.models.trees import Tree
    from trueline.training.flops import forward_flops, model_size

    trees = [Tree(trunk=(0,) * asked, branches=((0,) * said,)) for asked, said in drawn]
    return forward_flops(model_size(target.model), trees)
