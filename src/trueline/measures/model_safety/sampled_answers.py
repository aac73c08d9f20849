"""A question answered once greedily and several times by sampling: what semantic entropy and SelfCheck read."""

from collections.abc import Sequence
from dataclasses import dataclass

from trueline.core.messages import Completion, Sampling, chat, last_user
from trueline.core.protocols import Target
from trueline.core.verdicts import Item
from trueline.data.loaders import load_rows
from trueline.judges.entailment import Entailment, adds_content
from trueline.measures.answers import REFUSING_OUTCOMES, NoAnswer, unusable

FILE = "qa_one-turn_data.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledAnswers:
    """The greedy answer and the samples, all of them answers that can be judged."""

    question: str
    greedy: Completion
    samples: tuple[Completion, ...]


def question_items(prefix: str) -> list[Item]:
    """Questions of HaluEval, asked without their knowledge: those 442 whose answer is more than a choice among the
    question's own words, for an echo would pass for an answer. ``data``: ``answer``."""
    return [
        Item(
            id=f"{prefix}/{number}",
            prompt=chat(f"{row['question'].strip()}\nAnswer in one short sentence."),
            data={"answer": row["right_answer"].strip()},
        )
        for number, row in enumerate(load_rows("halueval", FILE))
        if adds_content(row["question"], row["right_answer"])
    ]


async def sample_answers(
    item: Item, target: Target, *, samples: int, temperature: float, max_tokens: int
) -> SampledAnswers:
    """Ask the target; raises NoAnswer where an answer is lost, empty or refused."""
    greedy = await target.generate(item.prompt, Sampling(max_tokens=max_tokens))
    drawn = await target.generate(
        item.prompt, Sampling(max_tokens=max_tokens, temperature=temperature, samples=samples)
    )
    if len(greedy) != 1 or len(drawn) != samples:
        raise NoAnswer(f"the target returned {len(greedy)} of 1 and {len(drawn)} of {samples} answers")
    for completion in (*greedy, *drawn):
        if completion.outcome in REFUSING_OUTCOMES:
            raise NoAnswer("the target refused: there is no answer to compare")
        if (reason := unusable(completion)) is not None:
            raise NoAnswer(reason)
    return SampledAnswers(question=last_user(item.prompt), greedy=greedy[0], samples=drawn)


async def is_right(judge: Entailment, answers: SampledAnswers, accepted: Sequence[str]) -> bool:
    """Whether the greedy answer entails an accepted one, by the judge."""
    for answer in accepted:
        relation = await judge.relate(answers.question, answers.greedy.text, answer)
        if relation.entails:
            return True
    return False
