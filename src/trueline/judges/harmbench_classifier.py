"""HarmBench's classifier of standard text behaviours (Mazeika et al. 2024, arXiv 2402.04249; model card
cais/HarmBench-Llama-2-13b-cls, MIT).

Value 1.0 means that the answer is an instance of the behaviour. ``template`` is a file with the model card's
LLAMA2_CLS_PROMPT["prompt"], fields {behavior} and {generation}; it is checked by its digest. The behaviour is the
item's request. Contextual behaviours have another prompt and are not judged.
Example: ``{judge: harmbench_classifier, target: cais/HarmBench-Llama-2-13b-cls, template: harmbench.txt}``.
"""

from pathlib import Path
from typing import ClassVar

from trueline.core.messages import Completion, Prompt, last_user
from trueline.core.protocols import Target
from trueline.core.verdicts import Item

from .published import ReplyingJudge, published_template
from .template_file import fill

SOURCE = "the model card of cais/HarmBench-Llama-2-13b-cls"
SHA256 = "4016eb2e1758f37cfbf37f0e1540f15f26857e048c28e69796c23337ae0a285a"


class HarmBenchClassifier(ReplyingJudge):
    """HarmBench's yes or no to a behaviour; any other reply is no verdict."""

    name: ClassVar[str] = "harmbench-classifier"
    max_tokens: ClassVar[int] = 1

    def __init__(self, *, target: Target, template: str) -> None:
        super().__init__(target)
        self.template = published_template(Path(template), ("behavior", "generation"), SHA256, SOURCE)

    def text(self, request: str, answer: str) -> str:
        """The template, filled."""
        return fill(self.template, behavior=request, generation=answer)

    def prompt(self, item: Item, completion: Completion) -> Prompt:
        """Raw text: the tokenizer adds the beginning token, as in the authors' notebook."""
        return self.text(last_user(item.prompt), completion.text)

    def parse(self, reply: str) -> float | None:
        """1 for yes, 0 for no."""
        return {"yes": 1.0, "no": 0.0}.get(reply.strip().lower())
