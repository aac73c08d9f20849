"""Reading questions and options out of the instructions that LLM-Adapters wrapped around them."""

import re
from typing import Any

from trueline.core.errors import InputError

_CHOICE = re.compile(
    r"Please choose the correct (?:answer|solution) to (?:the question|fill in the blank to complete the given "
    r"sentence): (?P<question>.*?)\n\n(?P<options>(?:Answer|Solution|Option)1: .*?)\s+"
    r"Answer format: (?P<format>.*)",
    re.DOTALL,
)
_OPTION = re.compile(r"\s*(?:Answer|Solution|Option)\d: ")


def parse(row: dict[str, Any]) -> tuple[str, tuple[str, ...], int]:
    """Question, options and the right option's index from an instruction row; raises InputError."""
    found = _CHOICE.fullmatch(row["instruction"])
    if found is None:
        raise InputError(unlike(row))
    options = tuple(part.strip() for part in _OPTION.split(found["options"])[1:])
    answers = found["format"].strip().split("/")
    if len(options) != len(answers) or row["answer"] not in answers or not all(options):
        raise InputError(f"the options do not fit the answer format: {row['instruction'][:80]!r}.")
    return found["question"].strip(), options, answers.index(row["answer"])


def unlike(row: dict[str, Any]) -> str:
    """What is said of a row that is not as published."""
    return (
        f"not an instruction of this set: {row['instruction'][:80]!r}; fetch llm_adapters_commonsense again."
    )
