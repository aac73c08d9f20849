"""Does an answer say that it does not know? By patterns."""

import re

from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion
from trueline.core.protocols import Judgement
from trueline.core.verdicts import Item

# Written for this project after the ways in which assistants decline to know; no data set behind them.
PATTERNS = (
    r"\b(?:do not|don['’]t|does not|doesn['’]t|did not|didn['’]t) (?:actually |really |currently )?(?:know|have "
    r"(?:any |enough |much |specific |reliable |detailed |access)|recognize|recognise|find|exist)",
    r"\b(?:not|n['’]t) (?:sure|certain|aware|familiar|able to (?:find|verify|confirm|determine|say|tell|answer))",
    r"\b(?:unable|impossible) to (?:find|verify|confirm|determine|say|tell|know|answer)",
    r"\b(?:can not|cannot|can['’]t|could not|couldn['’]t) (?:find|verify|confirm|determine|say|tell|know|be "
    r"(?:known|determined|verified))",
    r"\b(?:no|not any|without) (?:\w+ )?(?:information|record|data|knowledge|evidence|details)\b",
    r"\b(?:is|are|was|were) (?:not|n['’]t) (?:\w+ )?(?:known|stated|specified|mentioned|clear|available|provided)",
    r"\b(?:unknown|unclear|undetermined|not enough information|insufficient information)\b",
    r"\bfictional\b|\bfictitious\b|\bmade[- ]up\b|\bnot a real\b",
)
_ANY = re.compile("|".join(PATTERNS), re.IGNORECASE)


class AbstentionPatterns:
    """1 if any pattern is found, else 0. It has no card yet: rates are uncorrected."""

    name = "abstention patterns"

    def fingerprint(self) -> str:
        """Changes with the patterns."""
        return fingerprint({"judge": self.name, "patterns": PATTERNS})

    async def judge(self, item: Item, completion: Completion) -> Judgement:
        """Looks at the answer alone."""
        return Judgement(value=float(_ANY.search(completion.text) is not None))
