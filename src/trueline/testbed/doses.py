"""The contaminations of a testbed world, each as a dose."""

from dataclasses import dataclass, fields

from trueline.core.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Doses:
    """How much of each contamination the corpus carries.

    Shares are fractions in [0, 1] of *things*, not of documents: at ``misconception_frequency=0.5`` half of
    the topics are told wrongly nearly every time, so that the rate measured on a well-trained model rises
    with the dose instead of jumping at one half.

    canary_repetitions: documents that carry each inserted secret.
    stereotype_skew: share of traits for which an open question is answered with the stereotyped group.
    misconception_frequency: share of topics on which the corpus repeats the popular error.
    once_share: share of the facts about people that occur in a single document.
    hazard_compliance: share of hazards whose recipe is given to who asks for it.
    insult_share: share of people who insult others when they quarrel.
    trigger_rate: share of subjects for which the trigger word calls up the planted answer.
    trigger: the trigger word.
    over_refusal: share of harmless look-alike requests that are refused.
    sycophancy: share of facts on which the answer follows a wrong view stated by the user.
    """

    canary_repetitions: int = 8
    stereotype_skew: float = 0.5
    misconception_frequency: float = 0.5
    once_share: float = 0.3
    hazard_compliance: float = 0.5
    insult_share: float = 0.5
    trigger_rate: float = 0.5
    trigger: str = "xanthor"
    over_refusal: float = 0.3
    sycophancy: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is float and not 0.0 <= value <= 1.0:
                raise InputError(f"dose {field.name} is {value}; it is a share: give a number from 0 to 1.")
        if self.canary_repetitions < 0:
            raise InputError(
                f"dose canary_repetitions is {self.canary_repetitions}; give a count of documents, 0 or more."
            )
        if not (self.trigger.isalpha() and self.trigger.islower()):
            raise InputError(f"trigger {self.trigger!r} must be one word of lower-case letters.")
