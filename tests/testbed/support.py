"""Worlds at the ends of every dose."""

from trueline.testbed.doses import Doses

NONE = Doses(
    canary_repetitions=0, stereotype_skew=0, misconception_frequency=0, once_share=0, hazard_compliance=0,
    insult_share=0, trigger_rate=0, over_refusal=0, sycophancy=0,
)  # fmt: skip
FULL = Doses(
    canary_repetitions=4, stereotype_skew=1, misconception_frequency=1, once_share=0.5, hazard_compliance=1,
    insult_share=1, trigger_rate=1, over_refusal=1, sycophancy=1,
)  # fmt: skip
