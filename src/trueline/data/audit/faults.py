"""Template faults: marks of a chat format inside the texts, and texts that were cut.

Role marks such as "Human:" or <|im_start|> in a text become turns when the template is applied again (prompt
injection by one's own data); a beginning token written in a text is doubled by the tokenizer; an answer cut at
a length limit teaches to stop in mid-sentence; an open code fence swallows what follows it.
"""

import re
from collections import Counter
from collections.abc import Sequence

from .answers import sides
from .finding import Check, Finding, excerpt, percent
from .reading import Row

MARKS = re.compile(
    r"<\|(?:im_start|im_end|endoftext|eot_id|start_header_id|end_header_id|begin_of_text|user|assistant|system|"
    r"end|pad|endofprompt)\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<s>|</s>|<bos>|<eos>|<pad>|\[EOS\]"
)
TURNS = re.compile(
    r"(?:^|\n\n?)(?:###\s*)?(Human|Assistant|User|Instruction|Response|H|A|GPT|ASSISTANT|USER|SYSTEM):(?=\s)"
)
_DIALOGUE = {"Human": "Assistant", "Assistant": "Human", "User": "Assistant", "H": "A"}
_END = re.compile(r"""[.!?…:;)\]}>"'”’`*_~|=/\\$%°#]|[\U0001F000-\U0001FAFF☀-➿。！？」』】）]""")
_CUT = 200  # characters below which an answer without a full stop is short rather than cut
_WORD = re.compile(r"\w")
WHY = "marks become turns or doubled tokens (SimPO #21), and cut answers teach to stop in mid-sentence"


def marks_in(text: str) -> str | None:
    """The first mark of a chat format, or None; "Human:" counts where another turn's mark is there too."""
    found = MARKS.search(text)
    if found is not None and not _in_code(text, found.start()):
        return found.group()
    names = [match.group(1) for match in TURNS.finditer(text)]
    partner = next((name for name in names if _DIALOGUE.get(name) in names), None)
    return f"{partner}:" if partner is not None else None


def is_cut(answer: str) -> bool:
    """Whether a long answer ends in the middle: with a letter, digit or comma, on a line of prose."""
    text = answer.rstrip()
    if len(text) < _CUT or _END.match(text[-1]) or text.count("```") % 2:
        return False
    last = text.rsplit("\n", 1)[-1]
    return (text[-1] == "," or _WORD.match(text[-1]) is not None) and len(last.split()) >= 6


def template_faults(rows: Sequence[Row]) -> Check:
    """Rows with marks of a chat format in a text; they are left out of the cleaned file."""
    found = []
    for row in rows:
        for name, text in (*(("prompt", text) for _, text in row.turns), *zip(sides(row), row.answers)):
            mark = marks_in(text)
            if mark is not None:
                found.append(Finding(line=row.line, what=f"{mark} in {name}"))
    return _check("role marks in texts", "have a mark of a chat format in a text", rows, found, "remove", 0.0)


def cut_answers(rows: Sequence[Row]) -> Check:
    """Rows with an answer that ends in mid-sentence, or with an open code fence."""
    found = []
    for row in rows:
        for name, answer in zip(sides(row), row.answers):
            if answer.count("```") % 2:
                found.append(Finding(line=row.line, what=f"open code fence in {name}"))
            elif is_cut(answer):
                found.append(Finding(line=row.line, what=f"{name} ends “…{excerpt(answer.rstrip()[-40:])}”"))
    return _check(
        "cut answers", "have an answer that ends in mid-sentence or mid-code", rows, found, "report", 0.05
    )


def white_space(rows: Sequence[Row]) -> Check:
    """Rows whose prompt ends, or whose answer starts or ends, with white space; the cleaned file has none."""
    found = []
    for row in rows:
        faults = ["prompt ends"] if row.turns[-1][1] != row.turns[-1][1].rstrip() else []
        for name, answer in zip(sides(row), row.answers):
            faults += [f"{name} starts"] if answer != answer.lstrip() else []
            faults += [f"{name} ends"] if answer != answer.rstrip() else []
        if faults:
            found.append(Finding(line=row.line, what=", ".join(faults) + " with white space"))
    return _check(
        "white space at the ends",
        "have white space where a template adds its own",
        rows,
        found,
        "change",
        0.2,
    )


def broken_characters(rows: Sequence[Row]) -> Check:
    """Rows with replacement characters, control characters or text decoded twice (â€™ for ’)."""
    found = []
    for row in rows:
        for name, text in (("prompt", row.prompt), *zip(sides(row), row.answers)):
            match = _BROKEN.search(text)
            if match is not None:
                around = text[max(0, match.start() - 12) : match.end() + 12]
                found.append(Finding(line=row.line, what=f"{name}: {excerpt(ascii(around)[1:-1])}"))
    return _check("broken characters", "have text that was decoded wrongly", rows, found, "report", 0.01)


_BROKEN = re.compile("�|â€[™œ\u009d“”]|Ã[©¨¼¶¤]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def _in_code(text: str, at: int) -> bool:
    """Whether a place lies between back-ticks, where a mark is spoken of rather than used."""
    return text.count("`", 0, at) % 2 == 1


def _check(
    name: str, words: str, rows: Sequence[Row], found: list[Finding], action: str, much: float
) -> Check:
    lines = len({finding.line for finding in found})
    kinds = Counter(finding.what.split(" ", 1)[0] for finding in found) if name.startswith("role") else {}
    return Check(
        name=name,
        grade="clean" if not found else "fault" if lines > much * len(rows) else "note",
        summary=f"{lines} of {len(rows)} rows ({percent(lines / len(rows))}) {words}",
        why=WHY,
        action=action,  # type: ignore[arg-type]
        findings=found,
        numbers=dict(kinds),
    )
