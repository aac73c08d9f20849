"""Branches that begin alike: the strings of a secret's format, options such as "a red car" and "a red bus".

What such branches share is computed once, as their trunk is. Sorted, they form a radix tree: each of its *segments* is
a run of tokens after which lines part or end, and continues the segment above it. Segments come in preorder, so that
all that continue one lie directly after it, and what is above any of them lies before.

    (4, 0, 7), (4, 0, 2), (4, 5)   ->   1: 4   2: 0 (above 1)   3: 2 (above 2)   4: 7 (above 2)   5: 5 (above 1)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from trueline.models.trees import common_prefix

Line = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Tokens that follow one another after the segment ``above`` (counted from 1; 0 is the trunk), with ``before``
    tokens between the trunk and them."""

    tokens: Line
    above: int = 0
    before: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Segments in preorder, and for each line the numbers of those that it consists of, from the trunk on."""

    segments: tuple[Segment, ...]
    paths: tuple[tuple[int, ...], ...]


def apart(lines: Sequence[Line]) -> Segments:
    """Each line that is not empty is a segment of its own."""
    segments: list[Segment] = []
    paths: list[tuple[int, ...]] = []
    for line in lines:
        if line:
            segments.append(Segment(tokens=line))
        paths.append((len(segments),) if line else ())
    return Segments(segments=tuple(segments), paths=tuple(paths))


def folded(lines: Sequence[Line]) -> Segments:
    """Each beginning that lines share is one segment; lines that share none are kept as they are."""
    if len({line[0] for line in lines if line}) == sum(map(bool, lines)):
        return apart(lines)
    order = sorted({line for line in lines if line})
    segments: list[Segment] = []
    paths: dict[Line, tuple[int, ...]] = {(): ()}
    # ranges of ``order`` whose lines have ``depth`` tokens in their path, and the next one in common
    waiting = [(first, last, 0, paths[()]) for first, last in reversed(_ranges(order, 0, len(order), 0))]
    while waiting:
        first, last, depth, path = waiting.pop()
        end = common_prefix(order[first], order[last - 1])
        above = path[-1] if path else 0
        segments.append(Segment(tokens=order[first][depth:end], above=above, before=depth))
        path = (*path, len(segments))
        if len(order[first]) == end:
            paths[order[first]] = path
            first += 1
        waiting += [(a, b, end, path) for a, b in reversed(_ranges(order, first, last, end))]
    return Segments(segments=tuple(segments), paths=tuple(paths[line] for line in lines))


def last_below(segments: Sequence[Segment]) -> list[int]:
    """For the trunk and each segment, the number of the last segment that continues it, directly or not."""
    last = list(range(len(segments) + 1))
    for number in range(len(segments), 0, -1):
        above = segments[number - 1].above
        last[above] = max(last[above], last[number])
    return last


def _ranges(order: Sequence[Line], first: int, last: int, depth: int) -> list[tuple[int, int]]:
    """Where lines with equal tokens at ``depth`` begin and end, within sorted lines that are longer."""
    groups = groupby(range(first, last), key=lambda index: order[index][depth])
    members = [list(group) for _, group in groups]
    return [(group[0], group[-1] + 1) for group in members]
