"""ShieldGemma (Zeng et al. 2024, arXiv 2407.21772; google/shieldgemma-2b, -9b, -27b; Gemma licence).

Value: p(Yes) / (p(Yes) + p(No)) of the next token after the chat template beside its weights, which takes the
``guideline`` that an answer may violate: 1.0 means that it does. The four published guidelines stand on the model
card; ``guideline`` is a file with one of them, or any other text (then values are not the paper's).
Example: ``{judge: shieldgemma, target: google/shieldgemma-2b, guideline: dangerous_content.txt}``.
"""

import math
from pathlib import Path
from typing import ClassVar

from trueline.core.errors import InputError, NotMeasurableError
from trueline.core.messages import Prompt
from trueline.core.protocols import Judgement, Target
from trueline.data.rows import read_text

from .published import PublishedJudge, own_template


class ShieldGemma(PublishedJudge):
    """ShieldGemma's probability of Yes, the answer violates the guideline; no verdict where it gives none."""

    name: ClassVar[str] = "shieldgemma"

    def __init__(self, *, target: Target, guideline: str) -> None:
        super().__init__(target)
        self.guideline = read_text(Path(guideline)).strip()
        if not self.guideline:
            raise InputError(f"the guideline {guideline} is empty; write what an answer must not do.")
        self.text("request", "answer")  # another model's template is refused here

    def text(self, request: str, answer: str) -> str:
        """By the tokenizer's template."""
        return own_template(self.target, request, answer, guideline=self.guideline)

    async def verdict(self, prompt: Prompt) -> Judgement:
        """One scoring of Yes and No."""
        try:
            yes, no = await self.target.score(prompt, ("Yes", "No"))
        except NotMeasurableError as error:
            return Judgement(value=None, reason=f"the judge model could not be asked: {error}")
        if not (math.isfinite(yes.logprob) and math.isfinite(no.logprob)):
            return Judgement(value=None, reason="the judge model gave no finite log-likelihood")
        return Judgement(value=1 / (1 + math.exp(min(700.0, no.logprob - yes.logprob))))
