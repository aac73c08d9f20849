"""Trees into rows: which tokens are computed once, which row holds them, and where each branch is read.

A *piece* is what must lie in one row: a trunk with the segments that branch off it. A tree is either one
piece (its trunk is computed once and a mask keeps the segments apart) or one piece a branch (*chains*, which
need no mask: under causal attention right padding is never seen). Beginnings that branches share can be *folded*: they
are segments that others continue (``beginnings``). Where attention runs block by block
(``block_attention``), pieces of any lengths are *joined* in one row without padding. The last token of a branch
predicts nothing, so it is left out of the row: a tree of one-token options costs its trunk alone.

Costs are in linear-layer token units. Measured on one CPU core with 256 to 384 hidden units: attention under
a dense mask costs L / (4 d) of the linear layers for a row of L tokens and d hidden units, causal attention
half.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from trueline.models.trees import Tree

from .beginnings import Segment, apart, folded

Reading = Literal["predicting", "final", "whole"]

# Below this many tokens a forward pass costs its overhead, so padding is cheaper than another pass.
_SMALL_BATCH = 512
# A piece shorter than this is not worth calls of its own in every layer.
_JOINED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Where one branch is read: ``columns`` inside its piece, one a value."""

    tree: int
    branch: int
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A trunk and its segments, laid out one after the other, and the branches read from them."""

    trunk: tuple[int, ...]
    segments: tuple[Segment, ...]
    reads: tuple[Read, ...]

    @property
    def length(self) -> int:
        """Tokens in the row."""
        return len(self.trunk) + sum(len(segment.tokens) for segment in self.segments)

    @property
    def reach(self) -> int:
        """Positions used: the trunk and the deepest segment's end."""
        ends = (segment.before + len(segment.tokens) for segment in self.segments)
        return len(self.trunk) + max(ends, default=0)

    def tokens(self) -> Iterator[int]:
        """Token ids in row order."""
        yield from self.trunk
        for segment in self.segments:
            yield from segment.tokens

    def positions(self) -> Iterator[int]:
        """Position ids: each segment continues from the end of what is above it."""
        yield from range(len(self.trunk))
        for segment in self.segments:
            start = len(self.trunk) + segment.before
            yield from range(start, start + len(segment.tokens))

    def parts(self) -> Iterator[int]:
        """0 for the trunk, 1 ... for the segments."""
        yield from (0 for _ in self.trunk)
        for number, segment in enumerate(self.segments, 1):
            yield from (number for _ in segment.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of ``width`` columns that go through the model together. ``masked`` rows need a tree mask; the one row of
    a ``joined`` batch has no padding and is attended block by block."""

    width: int
    rows: tuple[tuple[Piece, ...], ...]
    masked: bool
    joined: bool = False

    @property
    def tokens(self) -> int:
        """Columns computed, padding included."""
        return self.width * len(self.rows)

    @property
    def real_tokens(self) -> int:
        """Columns that are not padding."""
        return sum(piece.length for row in self.rows for piece in row)


def lay_out(
    tree: Tree, index: int, *, shared: bool, reading: Reading = "predicting", fold: bool = False
) -> list[Piece]:
    """The pieces of one tree: one when ``shared``, else one a branch. ``fold`` shares the branches' beginnings too.

    ``predicting`` reads a branch at the positions that predict its tokens (one column a token); ``final``
    reads it at its last token (one column; the end of the trunk when the branch is empty); ``whole`` at both
    (one column more than it has tokens).
    """
    unused = 1 if reading == "predicting" else 0
    everyone = range(len(tree.branches))
    long = [number for number in everyone if len(tree.branches[number]) > unused]
    if shared or len(long) < 2:
        groups = [list(everyone)]
    else:
        # Branches that need no segment of their own are read at the end of the first piece's trunk.
        groups = [[n for n in everyone if n not in long[1:]], *([n] for n in long[1:])]
    pieces = []
    for group in groups:
        used = [tree.branches[number][: len(tree.branches[number]) - unused] for number in group]
        found = folded(used) if fold else apart(used)
        lines, reads = _columns(len(tree.trunk), found.segments), []
        for number, path in zip(group, found.paths):
            line = lines[path[-1] if path else 0]
            size = len(tree.branches[number]) + (reading == "whole")
            columns = line[-1:] if reading == "final" else line[:size]
            reads.append(Read(tree=index, branch=number, columns=columns))
        pieces.append(Piece(trunk=tree.trunk, segments=found.segments, reads=tuple(reads)))
    return pieces


def _columns(trunk: int, segments: Sequence[Segment]) -> list[tuple[int, ...]]:
    """For the trunk and each segment, the columns from the trunk's last to its own end."""
    lines: list[tuple[int, ...]] = [(trunk - 1,)]
    end = trunk
    for segment in segments:
        lines.append((*lines[segment.above], *range(end, end + len(segment.tokens))))
        end += len(segment.tokens)
    return lines


def worth_sharing(tree: Tree, hidden: int, *, joined: bool = False, fold: bool = False) -> bool:
    """Whether one row for all branches is cheaper than one causal row a branch, for ``hidden`` units a layer:
    a masked row, or one attended block by block."""
    lines = [branch[:-1] for branch in tree.branches if len(branch) > 1]
    if len(lines) < 2:
        return False
    trunk = len(tree.trunk)
    apart_cost = sum((trunk + n) * (1 + (trunk + n) / (8 * hidden)) for n in map(len, lines))
    segments = (folded(lines) if fold else apart(lines)).segments
    sizes = [(len(segment.tokens), trunk + segment.before + len(segment.tokens)) for segment in segments]
    if joined:
        over = sum(n * (1 + end / (4 * hidden)) for n, end in sizes)
        return trunk * (1 + trunk / (8 * hidden)) + over < apart_cost
    width = trunk + sum(n for n, _ in sizes)
    return width * (1 + width / (4 * hidden)) < apart_cost


def worth_joining(piece: Piece, window: int | None) -> bool:
    """Whether a piece goes into a row that is attended block by block, which knows no sliding window."""
    return piece.length >= _JOINED and (window is None or piece.reach <= window)


def join(pieces: Sequence[Piece], *, budget: int) -> list[Batch]:
    """Batches of one row of at most ``budget`` tokens (one piece at least), longest pieces first."""
    rows: list[list[Piece]] = []
    width = 0
    for piece in sorted(pieces, key=lambda p: -p.length):
        if not rows or width + piece.length > budget:
            rows.append([])
            width = 0
        rows[-1].append(piece)
        width += piece.length
    return [
        Batch(width=sum(piece.length for piece in row), rows=(tuple(row),), masked=False, joined=True)
        for row in rows
    ]


def pack(pieces: Sequence[Piece], *, budget: int, masked: bool) -> list[Batch]:
    """Batches of at most ``budget`` tokens (one row at least), longest pieces first.

    A masked row takes further pieces while there is room; other rows hold one piece, so that plain causal
    attention is exact.
    """
    batches: list[Batch] = []
    rows: list[list[Piece]] = []
    room: list[int] = []
    width = 0
    for piece in sorted(pieces, key=lambda p: -p.length):
        length = piece.length
        gap = next((i for i, left in enumerate(room) if left >= length), None) if masked else None
        if gap is not None:
            rows[gap].append(piece)
            room[gap] -= length
            continue
        full = (len(rows) + 1) * width > budget
        wasteful = 4 * length < 3 * width and len(rows) * width >= _SMALL_BATCH
        if rows and (full or wasteful):
            batches.append(_close(rows, width, masked))
            rows, room = [], []
        if not rows:
            width = length
        rows.append([piece])
        room.append(width - length)
    if rows:
        batches.append(_close(rows, width, masked))
    return batches


def _close(rows: list[list[Piece]], width: int, masked: bool) -> Batch:
    return Batch(width=width, rows=tuple(map(tuple, rows)), masked=masked)
