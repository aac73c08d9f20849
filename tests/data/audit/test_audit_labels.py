"""Length, style and flipped labels: planted on purpose, so that what must be found is known."""

import numpy as np
import pytest

from trueline.data.audit import flipped, style
from trueline.data.audit.logistic import standardised
from trueline.data.audit.reading import Row
from trueline.data.audit.tokens import Vocabulary

GOOD, BAD = ["kind", "clear", "true", "helpful"], ["rude", "vague", "false", "useless"]
FILLER = [f"word{n}" for n in range(60)]


def answer(draws, words, n=20):
    return " ".join([*draws.choice(words, 4), *draws.choice(FILLER, n)])


def preference_rows(n, *, flips=0.0, longer=0.5, seed=0):
    """Pairs whose chosen answer has good words; a share is flipped; the chosen is longer with a chance."""
    draws = np.random.default_rng(seed)
    turned = draws.random(n) < flips
    rows = []
    for i in range(n):
        sizes = (24, 16) if draws.random() < longer else (16, 24)
        sides = [answer(draws, GOOD, sizes[0]), answer(draws, BAD, sizes[1])]
        rows.append(
            Row(line=i + 1, turns=(("user", f"p{i}"),), answers=tuple(sides[::-1] if turned[i] else sides))
        )
    return rows, turned


def problem_of(rows):
    vocabulary = Vocabulary()
    sides = [vocabulary.encode(row.answers[k] for row in rows) for k in range(len(rows[0].answers))]
    look = style.lengths(rows)
    columns = look[:, :1] - look[:, 1:] if look.shape[1] == 2 else look - look.mean()
    return flipped.label_problem(rows, sides, standardised(columns), np.arange(len(rows)))


@pytest.mark.parametrize("flips", [0.05, 0.15])
def test_planted_flips_are_found_with_the_precision_that_is_promised(flips):
    rows, turned = preference_rows(1500, flips=flips)
    check = flipped.likely_flipped(rows, problem_of(rows))
    found = np.zeros(len(rows), dtype=bool)
    found[[finding.line - 1 for finding in check.findings]] = True
    precision, recall = turned[found].mean(), found[turned].mean()
    assert recall > 0.9 and precision > 0.9
    assert check.numbers["precision_at_most"] == pytest.approx(precision, abs=0.2)
    assert check.numbers["recall_of_planted"] == pytest.approx(recall, abs=0.15)
    assert check.numbers["wrong_at_most"] == pytest.approx(turned.mean(), abs=0.1)


def partly_learnable(every):
    """(rows, flipped): only one pair in so many carries a sign of which is better, as in real preferences."""
    rows, turned = preference_rows(1200, flips=0.1)
    draws = np.random.default_rng(9)
    mixed = [
        row
        if i % every == 1
        else Row(line=row.line, turns=row.turns, answers=(answer(draws, FILLER), answer(draws, FILLER)))
        for i, row in enumerate(rows)
    ]
    return mixed, turned


def test_half_learnable_labels_promise_no_more_than_they_keep():
    mixed, turned = partly_learnable(2)
    check = flipped.likely_flipped(mixed, problem_of(mixed))
    wrong = [turned[f.line - 1] and f.line % 2 == 0 for f in check.findings]
    assert len(wrong) > 20
    assert np.mean(wrong) >= check.numbers["precision_at_most"] - 0.15


def test_no_precision_is_told_where_the_model_agrees_with_few_labels():
    mixed, _ = partly_learnable(4)
    check = flipped.likely_flipped(mixed, problem_of(mixed))
    assert 0.55 < check.numbers["accuracy"] < flipped.TELLING and check.findings
    assert check.numbers["precision_at_most"] is None
    assert "at most" not in check.summary and "so read them" in check.summary


def test_nothing_is_called_flipped_where_nothing_can_be_learnt():
    draws = np.random.default_rng(0)
    rows = [
        Row(line=i, turns=(("user", f"p{i}"),), answers=(answer(draws, FILLER), answer(draws, FILLER)))
        for i in range(400)
    ]
    check = flipped.likely_flipped(rows, problem_of(rows))
    assert check.grade == "clean" and not check.findings
    assert flipped.likely_flipped(rows[:50], problem_of(rows[:50])).grade == "not run"


def test_flipped_labels_of_single_answers():
    draws = np.random.default_rng(0)
    truth = draws.random(600) < 0.6
    turned = draws.random(600) < 0.05
    rows = [
        Row(
            line=i + 1,
            turns=(("user", f"p{i}"),),
            answers=(answer(draws, GOOD if truth[i] else BAD),),
            label=bool(truth[i] ^ turned[i]),
        )
        for i in range(600)
    ]
    check = flipped.likely_flipped(rows, problem_of(rows))
    found = {finding.line - 1 for finding in check.findings}
    planted = set(np.flatnonzero(turned).tolist())
    assert len(found & planted) > 0.9 * len(planted) and len(found - planted) < 0.2 * len(found)


def test_a_length_only_annotator_by_hand():
    # chosen longer in 3 of 4 that differ, one tie left out: 3/4
    sizes = [(9, 2), (9, 2), (9, 2), (2, 9), (5, 5)]
    rows = [Row(line=i, turns=(("user", "p"),), answers=("x" * a, "y" * b)) for i, (a, b) in enumerate(sizes)]
    check = style.length_bias(rows, np.arange(5))
    assert check.numbers["accuracy"] == 0.75 and check.numbers["n"] == 4
    # Wilson for 3 of 4: centre (0.75 + z²/8)/(1 + z²/4), z = 1.96: [0.3006, 0.9544]
    assert check.numbers["low"] == pytest.approx(0.3006, abs=1e-4)
    assert check.numbers["high"] == pytest.approx(0.9544, abs=1e-4)


def test_length_that_tells_nothing_of_a_lopsided_label_is_no_finding():
    draws = np.random.default_rng(1)
    rows = [
        Row(line=i, turns=(("user", f"p{i}"),), answers=("x" * int(size),), label=bool(i % 4))
        for i, size in enumerate(draws.integers(5, 50, 200))
    ]
    check = style.length_bias(rows, np.arange(200))
    assert check.grade == "clean" and check.summary.startswith("tells nothing of the label beyond the 75.0 %")


def test_length_and_style_are_graded_by_the_lower_end():
    biased, _ = preference_rows(600, longer=0.85)
    fair, _ = preference_rows(600, longer=0.5)
    groups = np.arange(600)
    check = style.length_bias(biased, groups)
    assert check.grade == "fault" and check.numbers["accuracy"] == pytest.approx(0.85, abs=0.04)
    assert style.length_bias(fair, groups).grade == "clean"
    assert style.style_bias(fair, groups).grade == "clean"
    listed = [
        Row(line=row.line, turns=row.turns, answers=("- one\n- two\n" + row.answers[0], row.answers[1]))
        if row.line % 2
        else row
        for row in fair
    ]
    check = style.style_bias(listed, groups)
    assert check.grade == "fault" and "list lines" in check.summary
    assert check.numbers["styles"]["list lines"] == pytest.approx(
        {"share": 1.0, "n": 300, "low": 0.9874, "high": 1.0, "p_holm": 0.0}, abs=1e-3
    )
