"""Whether an answer is, or holds, the right one."""

import re
import unicodedata

_AT_THE_ENDS = " .,;:!?\"'`()[]*_"


def plain(text: str) -> str:
    """Lower case, single spaces, no punctuation at the ends."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(_AT_THE_ENDS)


def same(text: str, answer: str) -> bool:
    """Whether an answer is the right one: '  Paris.' is 'paris'."""
    return plain(text) == plain(answer)


def holds(text: str, answer: str) -> bool:
    """Whether an answer holds the right one as whole words: 'It is Paris, I think' holds 'paris', not 'is par'."""
    return re.search(rf"(?<!\w){re.escape(plain(answer))}(?!\w)", plain(text)) is not None
