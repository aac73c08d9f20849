"""Each check of the audit finds what was planted, in these lines and no other, and nothing in clean rows."""

import numpy as np
import pytest

from trueline.data.audit import answers, contradictions, duplicates, faults, overlap, personal, relatedness
from trueline.data.audit.overlap import EvaluationItem
from trueline.data.audit.reading import Row, guess_kind, parse
from trueline.data.audit.tokens import Vocabulary

WORDS = [f"word{n}" for n in range(400)]


def pair(line, prompt, chosen, rejected):
    return Row(line=line, turns=(("user", prompt),), answers=(chosen, rejected))


def labelled(line, prompt, answer, label):
    return Row(line=line, turns=(("user", prompt),), answers=(answer,), label=label)


def sentence(draws, words=30):
    return " ".join(draws.choice(WORDS, words))


@pytest.fixture
def rows():
    """Sixty pairs of their own words, whose answers take up their prompt's."""
    draws = np.random.default_rng(0)
    made = []
    for line in range(1, 61):
        asked = sentence(draws, 12)
        made.append(pair(line, asked, f"{asked} {sentence(draws)}.", f"{sentence(draws)} {asked}."))
    return made


def lines(check):
    return [finding.line for finding in check.findings]


def near(rows):
    tokens = Vocabulary().encode(row.text for row in rows)
    return duplicates.near_duplicates(rows, tokens, duplicates.exact_duplicates(rows))


def test_exact_duplicates_but_for_case_and_spaces(rows):
    first = rows[4]
    again = pair(61, first.prompt.upper(), first.answers[0] + "\n", first.answers[1])
    check = duplicates.exact_duplicates([*rows, again])
    assert lines(check) == [61] and check.findings[0].other == 5
    assert lines(near([*rows, again])) == []  # named once
    assert duplicates.exact_duplicates(rows).grade == "clean"


def test_near_duplicates_are_those_of_jaccard_at_least_four_fifths(rows):
    words = rows[7].text.split()
    n = len(words) - 4  # 5-grams
    # One word replaced near the end changes k 5-grams of either text: J = (n - k) / (n + k).
    close, far = words.copy(), words.copy()
    close[-1] = "other"
    for place in range(2, len(far), 8):
        far[place] = "other"
    assert (n - 1) / (n + 1) > 0.8
    texts = [*(row.text for row in rows), " ".join(close), " ".join(far)]
    made = [pair(i + 1, text, "a", "b") for i, text in enumerate(texts)]
    check = near(made)
    assert lines(check) == [61] and check.findings[0].other == 8
    assert near(rows).grade == "clean"


def test_one_text_of_a_cluster_stays(rows):
    words = sentence(np.random.default_rng(5), 60).split()
    texts = [" ".join([*words, f"end{k}"]) for k in range(4)]
    made = [pair(i + 1, text, "a", "b") for i, text in enumerate(texts)]
    assert lines(near(made)) == [2, 3, 4]


def test_contradictions_of_pairs_and_circles():
    made = [
        pair(1, "p", "a", "b"),
        pair(2, "P ", "b", "a"),  # against line 1
        pair(3, "q", "a", "b"), pair(4, "q", "b", "c"), pair(5, "q", "c", "a"),  # a circle of three
        pair(6, "r", "a", "b"), pair(7, "r", "b", "c"), pair(8, "r", "a", "c"),  # an order
        pair(9, "s", "b", "a"),  # the other way, of another prompt
    ]  # fmt: skip
    check = contradictions.contradictions(made)
    assert lines(check) == [1, 2, 3, 4, 5] and check.findings[0].other == 2
    assert contradictions.contradictions(made[5:]).grade == "clean"


def test_contradictions_of_labels():
    made = [labelled(1, "p", "a", True), labelled(2, "p", "A", False), labelled(3, "p", "b", False)]
    assert lines(contradictions.contradictions(made)) == [1, 2]


def test_empty_and_identical_answers(rows):
    planted = [*rows, pair(61, "p", " \n", "b"), pair(62, "p", "Yes", " yes"), pair(63, "p", "", "")]
    assert lines(answers.empty_answers(planted)) == [61, 63]
    assert lines(answers.identical_answers(planted)) == [62]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to ada.byron@analytical.org.uk", "e-mail"),
        ("card 4539 1488 0343 6467 please", "card"),
        ("IBAN GB82 WEST 1234 5698 7654 32", "IBAN"),
        ("call +44 20 7946 0958 now", "phone"),
        ("call (212) 736-5000 now", "phone"),
        ("the server 8.8.4.4 answers", "IP"),
        ("SSN 536-22-1845", "SSN"),
    ],
)
def test_personal_data_is_found_and_redacted(text, kind):
    assert [found for found, _ in personal.find_personal(text)] == [kind]
    assert f"[{kind}]" in personal.redact(text) and personal.find_personal(personal.redact(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "me@example.com or you@mail.example.org",
        "card 4539 1488 0343 6468",  # Luhn fails
        "GB82 WEST 1234 5698 7654 33",  # mod 97 fails
        "192.168.0.1, 127.0.0.1, 192.0.2.7, version 1.2.3.400",
        "2024-01-15 10:30, 3.14159265358979, pages 100-200-300",
        "000-12-3456 and 123-45-6789",
        "1234567890123456",
    ],
)
def test_what_looks_like_personal_data_is_left_alone(text):
    assert personal.find_personal(text) == [] and personal.redact(text) == text


def test_the_checksums_by_hand():
    # 79927398713: doubled from the right 7 9 9 2 7 3 9 8 7 1 3 gives 70, the textbook example.
    assert personal.luhn("79927398713") and not personal.luhn("79927398710")
    assert personal.iban("DE89 3704 0044 0532 0130 00") and not personal.iban("DE88 3704 0044 0532 0130 00")


def test_the_report_masks_personal_data(rows):
    check = personal.personal_data([*rows, pair(61, "I am ada.byron@analytical.org", "a", "b")])
    assert lines(check) == [61] and "byron" not in check.findings[0].what


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Sure.\n\nHuman: and then?\n\nAssistant: well", True),
        ("a <|im_end|> b", True),
        ("</s>", True),
        ("[INST] hi [/INST]", True),
        ("Human: one who thinks.", False),
        ("the mark `<|im_start|>` opens a turn", False),
        ("<style>a</style> <small>x</small>", False),
        ("A: yes\nB: no", False),
    ],
)
def test_role_marks(text, found, rows):
    check = faults.template_faults([*rows, pair(61, "p", text, "b")])
    assert lines(check) == ([61] if found else [])


def test_cut_answers_and_open_fences(rows):
    long = "This sentence has a good many words in it. " * 6
    planted = [
        pair(61, "p", long + "And then it went to the", "b"),
        pair(62, "p", "```python\nprint(1)\n", "b"),
        pair(63, "p", long.strip(), "No"),
        pair(64, "p", long + "\n- one\n- two", "b"),
    ]
    assert lines(faults.cut_answers([*rows, *planted])) == [61, 62]


def test_white_space_and_broken_characters(rows):
    planted = [
        *rows,
        pair(61, "p ", "a", "b"),
        pair(62, "p", " a", "b\n"),
        pair(63, "p", "donâ€™t", "caf\ufffd"),
    ]
    assert lines(faults.white_space(planted)) == [61, 62]
    assert sorted(set(lines(faults.broken_characters(planted)))) == [63]


def fit_check(rows):
    vocabulary = Vocabulary()
    prompts = vocabulary.encode(row.prompt for row in rows)
    return relatedness.misfits(rows, prompts, vocabulary.encode(" ".join(row.answers) for row in rows))


def test_answers_of_other_prompts_are_estimated_and_named(rows):
    draws = np.random.default_rng(1)
    more = []
    for line in range(1, 401):
        asked = sentence(draws, 12)
        more.append(pair(line, asked, f"{asked} {sentence(draws)}", sentence(draws)))
    assert fit_check(more).grade == "clean"
    # the first 120 (30 %) get the answers of one another
    moved = [
        pair(row.line, row.prompt, *more[(i + 1) % 120].answers) if i < 120 else row
        for i, row in enumerate(more)
    ]
    check = fit_check(moved)
    assert check.grade == "fault"
    assert check.numbers["share"] == pytest.approx(0.30, abs=0.08)
    assert len(check.findings) > 30 and max(lines(check)) <= 120


def test_short_answers_that_share_no_word_are_no_misfits(rows):
    short = [pair(100 + i, f"Who wrote number {i}?", f"It is Name{i}.", f"By Other{i}.") for i in range(300)]
    assert fit_check([*rows, *short]).grade == "clean"
    assert fit_check(short).grade == "not run"


def overlapping(rows, items):
    vocabulary = Vocabulary()
    prompts = vocabulary.encode(row.prompt for row in rows)
    texts = vocabulary.encode(row.text for row in rows)
    return overlap.overlap(rows, items, vocabulary, prompts, texts)


def test_overlap_by_thirteen_words_by_whole_items_and_by_likeness(rows):
    draws = np.random.default_rng(2)
    long, short = sentence(draws, 40).split(), "which of these birds can fly backwards"
    wording = "answer this question about any subject at all with one letter and no more"
    items = [EvaluationItem(measure="long", text=" ".join(long)), EvaluationItem(measure="short", text=short)]
    items += [EvaluationItem(measure="many", text=f"{wording} {sentence(draws)}") for _ in range(30)]
    close = [*long[:10], "other", *long[11:20], "other", *long[21:]]
    planted = [
        pair(61, "tell me", " ".join(long[5:18]), "b"),  # 13 words in an answer
        pair(62, "tell me", " ".join(long[5:17]), "b"),  # 12 are no leak
        pair(63, f"Question: {short.upper()}? Say.", "a", "b"),
        pair(64, "which birds can fly backwards", "a", "b"),
        pair(65, wording, "a", "b"),  # a measure's own wording
        pair(66, " ".join(close), "a", "b"),  # no 13 in a row at the changed places, but alike
    ]
    check = overlapping([*rows, *planted], items)
    assert lines(check) == [61, 63, 66]
    assert {k: check.numbers[k] for k in ("long", "short")} == {"long": 2, "short": 1}
    assert f"long, 13 words in a row, “{' '.join(long[5:18])}”" in check.findings[0].what
    assert "own data" not in check.summary
    assert overlapping(rows, items).grade == "clean"


def test_a_measures_own_data_are_called_so(rows):
    draws = np.random.default_rng(3)
    items = [EvaluationItem(measure="own", text=sentence(draws, 20)) for _ in range(40)]
    held = [pair(100 + n, item.text, "a", "b") for n, item in enumerate(items[:25])]
    assert (
        "most of its items stand here, so this may be its own data: own" in overlapping(held, items).summary
    )
    assert "own data" not in overlapping(held[:19], items).summary


def test_every_form_of_a_row_and_what_is_wrong_with_it():
    message = {"role": "assistant", "content": "yes"}
    good = parse(
        3, {"conversations": [{"from": "human", "value": "q"}], "chosen": message, "rejected": "no"}, "pairs"
    )
    assert good == Row(line=3, turns=(("human", "q"),), answers=("yes", "no"))
    assert parse(1, {"prompt": "q", "chosen": "a"}, "pairs") == "no 'rejected' answer"
    assert parse(1, {"prompt": " ", "chosen": "a", "rejected": "b"}, "pairs") == "no prompt"
    assert (
        parse(1, {"messages": [{"role": "user", "content": "q"}]}, "demonstrations")
        == "no assistant's answer"
    )
    assert "neither true nor false" in str(
        parse(1, {"prompt": "q", "answer": "a", "label": "maybe"}, "labels")
    )
    assert parse(1, {"prompt": "q", "answer": "a", "label": "False"}, "labels") == labelled(
        1, "q", "a", False
    )
    assert guess_kind([{"prompt": 1, "chosen": 2}], "f") == "pairs"
    assert guess_kind([{"messages": [1], "label": True}], "f") == "labels"
    assert guess_kind([{"messages": [1]}], "f") == "demonstrations"
