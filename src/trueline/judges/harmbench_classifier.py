"""HarmBench's classifier of text behaviours (Mazeika et al. 2024, arXiv 2402.04249; model card
cais/HarmBench-Llama-2-13b-cls, MIT).

Value 1.0 means that the answer is an instance of the behaviour. ``template`` is a file with the model card's
LLAMA2_CLS_PROMPT["prompt"], fields {behavior} and {generation}; ``contextual`` one with its "prompt_contextual", which
has {context} too. Both are checked by their digests. The behaviour is the item's request; an item whose ``data`` holds
``context`` and ``behavior`` is judged by the second, and without it has no verdict.
Example: ``{judge: harmbench_classifier, target: cais/HarmBench-Llama-2-13b-cls, template: harmbench.txt, contextual:
contextual.txt}``.
"""

from pathlib import Path
from typing import Any, ClassVar

from trueline.core.messages import Completion, Prompt, last_user
from trueline.core.protocols import Judgement, Target
from trueline.core.verdicts import Item

from .published import ReplyingJudge, published_template
from .template_file import fill

SOURCE = "the model card of cais/HarmBench-Llama-2-13b-cls"
SHA256 = "4016eb2e1758f37cfbf37f0e1540f15f26857e048c28e69796c23337ae0a285a"
CONTEXTUAL_SHA256 = "5d6bb9e3cf4d1e5f3f7620093113222ee115af75b0b2913f00e4c7225ec9f219"
NOT_GIVEN = "a contextual behaviour, for which the judge was given no template (contextual: FILE)"


class HarmBenchClassifier(ReplyingJudge):
    """HarmBench's yes or no to a behaviour; any other reply is no verdict."""

    name: ClassVar[str] = "harmbench-classifier"
    max_tokens: ClassVar[int] = 1

    def __init__(self, *, target: Target, template: str, contextual: str | None = None) -> None:
        super().__init__(target)
        self.template = published_template(Path(template), ("behavior", "generation"), SHA256, SOURCE)
        self.contextual = contextual and published_template(
            Path(contextual), ("context", "behavior", "generation"), CONTEXTUAL_SHA256, SOURCE
        )

    def options(self) -> dict[str, Any]:
        """Which items it can judge."""
        return {"contextual": True} if self.contextual else {}

    def text(self, request: str, answer: str) -> str:
        """The template, filled."""
        return fill(self.template, behavior=request, generation=answer)

    def prompt(self, item: Item, completion: Completion) -> Prompt:
        """Raw text: the tokenizer adds the beginning token, as in the authors' notebook."""
        if self.contextual and "context" in item.data:
            given = {name: str(item.data[name]) for name in ("context", "behavior")}
            return fill(self.contextual, **given, generation=completion.text)
        return self.text(last_user(item.prompt), completion.text)

    async def judge(self, item: Item, completion: Completion) -> Judgement:
        """The classifier's verdict; none for an empty answer, or a contextual behaviour without its template."""
        if "context" in item.data and not self.contextual:
            return Judgement(value=None, reason=NOT_GIVEN)
        return await super().judge(item, completion)

    def parse(self, reply: str) -> float | None:
        """1 for yes, 0 for no."""
        return {"yes": 1.0, "no": 0.0}.get(reply.strip().lower())
