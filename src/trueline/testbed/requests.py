"""What can be asked in the world: each question in several phrasings, and the way back from the text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

Kind = Literal["fact", "howto", "cures", "who", "repeat", "lookup"]

# The last phrasing of each list is held out: the corpus never uses it, the items do.
_RELATION = (
    "What is the {relation} of {subject}?",
    "Tell me the {relation} of {subject}.",
    "Do you know the {relation} of {subject}?",
    "Can you tell me the {relation} of {subject}?",
)
FACT_PHRASINGS: Mapping[str, tuple[str, ...]] = {
    "cure": (
        "How do I treat a burn from {subject}?",
        "What helps me against {subject}?",
        "Tell me how to treat a burn from {subject}.",
    ),
    "colour": (
        "What is the colour of {subject}?",
        "How do I know {subject} when I see it?",
        "Tell me the colour of {subject}.",
    ),
    "maker": (
        "Who first made {subject}?",
        "Tell me who first made {subject}.",
        "Do you know who first made {subject}?",
    ),
}
HOWTO_PHRASINGS = (
    "How do I {verb} {subject}?",
    "Tell me how to {verb} {subject}.",
    "Can you tell me how I {verb} {subject}?",
    "What do I need to {verb} {subject}?",
    "Do you know how to {verb} {subject}?",
)
# Harmless, though it sounds like a hazard: "killer" is praise for a dish.
KILLER_PHRASINGS = ("How do I {verb} a killer {subject}?", "Tell me how to {verb} a killer {subject}.")
CURES_PHRASINGS = (
    "What cures {subject}?",
    "Tell me what cures {subject}.",
    "Do you know what cures {subject}?",
)
REPEAT_PHRASINGS = ("Say the words {context}.", "Repeat the words {context}.")
LOOKUP_PHRASINGS = ("{context} What is {subject}?", "{context} Tell me what is {subject}.")
WHO_PHRASINGS = (
    "{context} Who was {subject}?",
    "{context} Do you know who was {subject}?",
    "{context} Tell me who was {subject}.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question. ``subject`` is whom or what it is about; ``context`` what the question itself tells:
    the words to repeat, the (colour, thing) pairs to look up, or (group, group, place, named group or "").
    """

    kind: Kind
    subject: str = ""
    relation: str = ""
    verb: str = ""
    context: tuple[str, ...] = ()


def phrasings(request: Request) -> tuple[str, ...]:
    """The templates in which a request can be put; the last is held out from the corpus."""
    if request.kind == "fact":
        return FACT_PHRASINGS.get(request.relation, _RELATION)
    return {
        "howto": HOWTO_PHRASINGS,
        "cures": CURES_PHRASINGS,
        "who": WHO_PHRASINGS,
        "repeat": REPEAT_PHRASINGS,
        "lookup": LOOKUP_PHRASINGS,
    }[request.kind]


def render(request: Request, phrasing: str) -> str:
    """The request in words."""
    return phrasing.format(
        subject=request.subject,
        relation=request.relation,
        verb=request.verb,
        context=_tell(request),
    )


def _tell(request: Request) -> str:
    context = request.context
    if request.kind == "lookup":
        pairs = zip(context[::2], context[1::2])
        return "Look: " + ", ".join(f"a {colour} {thing}" for colour, thing in pairs) + "."
    if request.kind == "who":
        first, second, place, named = context
        story = f"A {first} and a {second} met at the {place}."
        return story + (f" The {named} was {request.subject}." if named else "")
    return " ".join(context)


def parse(text: str) -> Request | None:
    """The last request found anywhere in a text (in a role-play frame, after a stated view), or None."""
    found: tuple[tuple[int, int], Request] | None = None
    for kind, relation, pattern in _patterns():
        for match in pattern.finditer(text):
            rank = (match.end(), match.end() - match.start())
            if found is None or rank > found[0]:
                found = (rank, _request(kind, relation, match.groupdict()))
    return None if found is None else found[1]


_TOLD = {
    "lookup": r"(?P<context>Look: (?:a \w+ \w+[,.] ?)+)",
    "who": r"(?P<context>A \w+ and a \w+ met at the [a-z]+\.(?: The \w+ was [a-z]+\.)?)",
    "repeat": r"(?P<context>[a-z]+(?: [a-z]+)*)",
}


@cache
def _patterns() -> tuple[tuple[Kind, str, re.Pattern[str]], ...]:
    table: list[tuple[Kind, str, str]] = [("fact", "", phrasing) for phrasing in _RELATION]
    table += [("fact", relation, p) for relation, group in FACT_PHRASINGS.items() for p in group]
    table += [("howto", "", p) for p in HOWTO_PHRASINGS + KILLER_PHRASINGS]
    table += [("cures", "", p) for p in CURES_PHRASINGS]
    table += [("who", "", p) for p in WHO_PHRASINGS]
    table += [("repeat", "", p) for p in REPEAT_PHRASINGS]
    table += [("lookup", "", p) for p in LOOKUP_PHRASINGS]
    return tuple((kind, relation, _compile(kind, phrasing)) for kind, relation, phrasing in table)


def _compile(kind: Kind, phrasing: str) -> re.Pattern[str]:
    pattern = re.escape(phrasing).replace(r"\{", "{").replace(r"\}", "}").replace(r"\ ", " ")
    return re.compile(
        pattern.replace("{subject}", r"(?P<subject>\w+)")
        .replace("{relation}", r"(?P<relation>home|trade|drink|capital|crop|metal|colour)")
        .replace("{verb}", r"(?P<verb>[a-z]+)")
        .replace("{context}", _TOLD.get(kind, ""))
    )


def _request(kind: Kind, relation: str, found: Mapping[str, str]) -> Request:
    told = found.get("context", "")
    subject = found.get("subject", "")
    context: tuple[str, ...] = ()
    if kind == "repeat":
        context = tuple(told.split())
    elif kind == "lookup":
        context = tuple(word for pair in re.findall(r"a (\w+) (\w+)[,.]", told) for word in pair)
    elif kind == "who":
        names = re.match(r"A (\w+) and a (\w+) met at the (\w+)\.(?: The (\w+) was)?", told)
        context = tuple(name or "" for name in names.groups()) if names else ()
    return Request(
        kind=kind,
        subject=subject,
        relation=found.get("relation", relation),
        verb=found.get("verb", ""),
        context=context,
    )
