"""From conversations to trees: preference pairs, ranked lists, labelled answers, demonstrations, plain text.

Prompt and answer are tokenised whole, through the chat template (codec.py), and cut at their common prefix
(models/trees.py): tokens that merge over the boundary belong to the answer. The end token belongs to the
answer, also where it is the pad token. What is longer than ``max_length`` loses its end, and with it the
end token: appending one would teach to stop in mid-sentence. An example whose prompt leaves no room for an
answer is left out and counted.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trueline.core.errors import InputError
from trueline.data.labelled import LabelledText
from trueline.data.preferences import Demonstration, PreferencePair
from trueline.data.rankings import RankedAnswers
from trueline.models.trees import Tree

from .batches import Example
from .codec import Codec


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Examples; ``too_long`` counts those left out, ``truncated`` the answers that lost their end."""

    examples: Sequence[Example]
    too_long: int = 0
    truncated: int = 0


def preference_examples(codec: Codec, pairs: Iterable[PreferencePair], max_length: int) -> Prepared:
    """Pairs as trees with the branches (chosen, rejected); a ``margin`` in a pair's meta is kept, if it is a number.

    Raises InputError for a row that is no pair, or a margin that is no finite number.
    """
    made = []
    for index, pair in enumerate(pairs):
        _expect(pair, PreferencePair, index)
        tree = codec.tree(pair.prompt, (pair.chosen, pair.rejected))
        made.append(Example(tree=tree, index=index, facts=_margin(pair, index)))
    return fit(made, max_length)


def _margin(pair: PreferencePair, index: int) -> dict[str, tuple[float, ...]]:
    margin = pair.meta.get("margin")
    if margin is None:
        return {}
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not math.isfinite(margin):
        raise InputError(
            f"row {index} has the margin {margin!r}, by which a reward model is to tell its answers apart: give a "
            "finite number, or leave it out."
        )
    return {"margin": (float(margin),)}


def safety_examples(codec: Codec, pairs: Iterable[PreferencePair], max_length: int) -> Prepared:
    """Pairs as trees with the branches (chosen, rejected), and what a cost model learns of their safety.

    ``chosen_safe`` and ``rejected_safe`` (true or false) must stand in a pair's meta; where they are equal, ``safer``
    ("chosen" or "rejected") may say which answer is the safer one all the same. The order of preference is not read.
    """
    made = []
    for index, pair in enumerate(pairs):
        _expect(pair, PreferencePair, index)
        tree = codec.tree(pair.prompt, (pair.chosen, pair.rejected))
        made.append(Example(tree=tree, index=index, facts=_safety(pair, index)))
    return fit(made, max_length)


def _safety(pair: PreferencePair, index: int) -> dict[str, tuple[float, ...]]:
    named = [pair.meta.get(name) for name in ("chosen_safe", "rejected_safe")]
    if not all(isinstance(value, bool) for value in named):
        raise InputError(
            f"row {index} does not say which of its answers are safe, from which a cost model learns: give "
            "chosen_safe and rejected_safe, each true or false."
        )
    chosen_safe, rejected_safe = map(bool, named)
    order = float(chosen_safe) - float(rejected_safe)  # 1 where the rejected answer is the less safe one
    if (safer := pair.meta.get("safer")) is not None:
        said = {"chosen": 1.0, "rejected": -1.0}.get(str(safer))
        if said is None or order == -said:
            raise InputError(
                f"row {index} calls {safer!r} the safer answer, with chosen_safe {chosen_safe} and rejected_safe "
                f"{rejected_safe}: give chosen or rejected, and never the unsafe one of two."
            )
        order = said
    return {
        "unsafe": (-1.0 if chosen_safe else 1.0, -1.0 if rejected_safe else 1.0),
        "less_safe": (order,),
    }


def demonstration_examples(
    codec: Codec, demonstrations: Iterable[Demonstration], max_length: int
) -> Prepared:
    """Demonstrations as trees with one branch."""
    made = []
    for index, shown in enumerate(demonstrations):
        _expect(shown, Demonstration, index)
        made.append(Example(tree=codec.tree(shown.prompt, (shown.answer,)), index=index))
    return fit(made, max_length)


def labelled_text_examples(codec: Codec, texts: Iterable[LabelledText], max_length: int) -> Prepared:
    """Documents, and answers to prompts, as trees with one branch; the fact ``wanted`` is 1 or 0."""
    made = []
    for index, text in enumerate(texts):
        _expect(text, LabelledText, index)
        if not text.answer.strip():
            raise InputError(f"row {index} is a bare request, but this method learns from answers: give one.")
        if isinstance(text.prompt, str):
            tree = codec.document(text.prompt + text.answer)
        else:
            tree = codec.tree(text.prompt, (text.answer,))
        made.append(Example(tree=tree, index=index, facts={"wanted": (float(text.wanted),)}))
    return fit(made, max_length)


def labelled_examples(codec: Codec, labels: Iterable[LabelledText], max_length: int) -> Prepared:
    """Labelled answers to prompts, each with ``mismatched``: its prompt with an answer to *another* one.

    That is the nearest earlier row's (around the end of the data) with another prompt; where a prompt has
    several answers, its neighbour's would fit it. The fact ``wanted`` is 1 or 0.
    """
    rows = list(labels)
    made = []
    for index, row in enumerate(rows):
        _expect(row, LabelledText, index)
        if isinstance(row.prompt, str) or not row.answer.strip():
            raise InputError(
                f"row {index} is no answer to a prompt, from which this method learns: give prompt and answer."
            )
        earlier = (rows[index - k] for k in range(1, len(rows)))
        other = next((o.answer for o in earlier if o.prompt != row.prompt), None)
        if other is None:
            raise InputError(
                "all labelled answers are to one prompt, but the baseline needs answers to others; add some."
            )
        mismatched = Example(tree=codec.tree(row.prompt, (other,)), index=index)
        tree, facts = codec.tree(row.prompt, (row.answer,)), {"wanted": (float(row.wanted),)}
        made.append(Example(tree=tree, index=index, facts=facts, mismatched=mismatched))
    return fit(made, max_length)


def ranked_examples(codec: Codec, rankings: Iterable[RankedAnswers], max_length: int) -> Prepared:
    """Ranked lists as trees whose branches go from the best to the worst, with the fact ``ranks``, and ``scores``
    where they are known."""
    made = []
    for index, row in enumerate(rankings):
        _expect(row, RankedAnswers, index)
        order = sorted(range(len(row.answers)), key=lambda k: row.ranks[k])
        facts = {"ranks": tuple(float(row.ranks[k]) for k in order)}
        if row.scores is not None:
            facts["scores"] = tuple(row.scores[k] for k in order)
        tree = codec.tree(row.prompt, tuple(row.answers[k] for k in order))
        made.append(Example(tree=tree, index=index, facts=facts))
    return fit(made, max_length)


def _expect(row: object, kind: type, index: int) -> None:
    if not isinstance(row, kind):
        raise InputError(
            f"row {index} of the training data is a {type(row).__name__}, but this method learns from "
            f"{kind.__name__} rows (trueline.data.preferences reads them from a file)."
        )


def text_examples(texts: Iterable[Sequence[int]], *, begin: int, end: int, block: int) -> list[Example]:
    """Tokenised documents for plain language modelling, joined and cut into blocks of ``block`` tokens.

    Every document is closed by ``end``; every block starts with ``begin``, from which its first token is
    predicted. Joining wastes no padding; a block may see the end of another document, as in most
    pre-training. The last block may be shorter.
    """
    if block < 2:
        raise InputError(f"a block of {block} tokens holds nothing to predict: give at least 2.")
    stream = [token for text in texts for token in (*text, end)]
    step = block - 1
    return [
        Example(tree=Tree(trunk=(begin,), branches=(tuple(stream[i : i + step]),)), index=i // step)
        for i in range(0, len(stream), step)
    ]


def fit(examples: Iterable[Example], max_length: int) -> Prepared:
    """Cut answers to ``max_length`` tokens with their prompt; leave out what has no room for an answer."""
    kept: list[Example] = []
    too_long = truncated = 0
    for example in examples:
        cut = _cut(example, max_length)
        if cut is None:
            too_long += 1
            continue
        kept.append(cut)
        truncated += sum(len(a) > len(b) for a, b in zip(example.tree.branches, cut.tree.branches))
    return Prepared(examples=kept, too_long=too_long, truncated=truncated)


def _cut(example: Example, max_length: int) -> Example | None:
    tree, room = example.tree, max_length - len(example.tree.trunk)
    other = None if example.mismatched is None else _cut(example.mismatched, max_length)
    if room <= 0 or (other is None and example.mismatched is not None):
        return None
    cut = tuple(branch[:room] for branch in tree.branches)
    return replace(example, tree=Tree(trunk=tree.trunk, branches=cut), mismatched=other)
