"""What making AI feedback costs in FLOPs: one forward pass over what a local model read and wrote (training/flops.py).

It is read off the kept lines, so that a resumed run counts what an unbroken one does. Example: two answers of 8 tokens
to a prompt of 20, by a model of 0.6 M parameters: 2 · 0.6 M · 36 = 43 MFLOPs, and the attention's.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trueline.core.messages import Conversation
from trueline.core.protocols import Target

from .critic import comparison_request, critique_request, revision_request

if TYPE_CHECKING:
    from .ai_feedback import Feedback

Asked = tuple[Conversation, Sequence[str]]  # what a model read, and its answers


def revising_flops(
    feedback: "Feedback", target: Target, rows: Sequence[Mapping[str, Any]], prompts: Sequence[Conversation]
) -> float:
    """The first answers, and every critique and revision."""
    answers = [(prompt, (row["answer"],)) for prompt, row in zip(prompts, rows) if "answer" in row]
    told = [
        asked for number, row in enumerate(rows) for asked in _steps(feedback, number, row, prompts[number])
    ]
    return _flops(target, answers) + _flops(feedback.critic.target, told)


def comparing_flops(
    feedback: "Feedback", target: Target, rows: Sequence[Mapping[str, Any]], prompts: Sequence[Conversation]
) -> float:
    """Two answers to each prompt, and the critic's letter in both orders."""
    drawn = [(prompt, row["answers"]) for prompt, row in zip(prompts, rows) if "answers" in row]
    told: list[Asked] = []
    for number, row in enumerate(rows):
        if row.get("first_is_better") is not None:
            principle = feedback.constitution.draw(feedback.seed, number, "comparison")
            one, other = row["answers"]
            for first, second in ((one, other), (other, one)):
                told.append((comparison_request(prompts[number], first, second, principle), ("A", "B")))
    return _flops(target, drawn) + _flops(feedback.critic.target, told)


def _steps(feedback: "Feedback", number: int, row: Mapping[str, Any], prompt: Conversation) -> list[Asked]:
    """What the critic was asked about one prompt."""
    told: list[Asked] = []
    answer = row.get("answer", "")
    for step, made in enumerate(row["steps"]):
        principle = feedback.constitution.draw(feedback.seed, number, step)
        critique = made["critique"]
        if critique:
            told.append((critique_request(prompt, answer, principle), (critique,)))
        if made["revision"] is not None:
            told.append((revision_request(prompt, answer, critique, principle), (made["revision"],)))
            answer = made["revision"]
    return told


def _flops(target: Target, asked: Sequence[Asked]) -> float:
    """A pass of a local model over all that; another's computing is not ours."""
    from trueline.models.local import LocalTarget
    from trueline.training.flops import forward_flops, model_size

    from .copies import codec_of

    if not isinstance(target, LocalTarget):
        return 0.0
    codec = codec_of(target)
    return forward_flops(model_size(target.model), [codec.tree(prompt, answers) for prompt, answers in asked])
