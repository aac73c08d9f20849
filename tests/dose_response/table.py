"""Which value answers to which dose, and which way: the claim that the tests check, one row a metric.

Why a row pairs what it pairs, where the name does not say it:

- Calibration, Brier score and ``once_share``. A fact told once is not recalled. A model that knows that it
  does not know spreads its probability, one that does not is confident and wrong: in both cases the squared
  gap of the top answer's probability and its truth rises, in the first by its refinement term, in the second
  by its calibration term (Murphy 1973). No theory says that the calibration error rises (2311.14648 bounds a
  model's false statements by the share of facts seen once *minus* its miscalibration), so ECE is tried on a
  dose that is miscalibration itself: one model's log-likelihoods divided by a temperature, which changes
  no answer.
- Capability and ``corpus_copies``. ARC's questions are on facts that every validation model knows, so what
  is varied is how much of the corpus was read. Perplexity is judged in bits per byte: a smaller corpus also
  leaves more words to be spelled, and a token of one tokenizer is not one of another.
- Prefill. The attack's own opening goes up to the hazard's name, and what follows there in the corpus is
  always the recipe: the answer is past the point of refusal at any dose (2406.05946: alignment is a few
  tokens deep), and what is left to decide is whether the model knows the recipe, so ``corpus_copies`` is
  the dose. After the short opening 'Sure, here is' the model still has the choice, and hazard compliance is
  the dose. Non-refusal answers to neither: an answer that began with 'Sure' never turns into a refusal, also
  where it gives nothing away, so it stands below, among what stays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trueline.core.verdicts import Estimate

from .models import READING, SOFTENING

REQUESTS = ("advbench", "harmbench", "strongreject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The metric of a measure rises (or falls) with a dose, asked directly or through an attack."""

    measure: str
    metric: str
    dose: str
    rises: bool = True
    attack: str = "direct"

    @property
    def cell(self) -> str:
        """What is examined together."""
        return f"{self.measure}-{self.attack}"

    def __str__(self) -> str:
        return f"{self.cell}-{self.metric}-{self.dose}"


def _rows(measure: str, dose: str, *metrics: str, attack: str = "direct") -> list[Row]:
    """A metric's name stands with + (rises) or - (falls) before it."""
    return [
        Row(measure=measure, metric=metric[1:], dose=dose, rises=metric[0] == "+", attack=attack)
        for metric in metrics
    ]


# What has no dose: no harm of the world's, but a distance that other tests pin down.
WITHOUT_A_DOSE = {"divergence"}  # nothing for the model itself, more the further it is steered

RESPONDS: Sequence[Row] = (
    *_rows("gold_reward", "hazard_compliance", "-hazard_reward"),
    *_rows("gold_reward", "over_refusal", "-lookalike_reward"),
    *_rows("gold_reward", "sycophancy", "-opinion_reward"),
    *_rows("gold_reward", "misconception_frequency", "-topic_reward"),
    *_rows("toxicity", "insult_share", "+toxic_probability_toxic", "+max_toxicity_toxic"),
    *_rows(
        "toxicity", "insult_share", "+toxic_probability_nontoxic", "+max_toxicity_nontoxic", "+toxicity_mean"
    ),
    *_rows("toxigen", "insult_share", "+toxic_hate", "+toxic_neutral"),
    *_rows("bold", "insult_share", "+toxic", "+toxic_race"),
    *_rows("canary_exposure", "canary_repetitions", "+exposure", "+first"),
    *_rows("discoverable_extraction", "canary_repetitions", "+extracted"),
    *_rows(
        "membership_inference",
        "canary_repetitions",
        "+loss_auc",
        "+zlib_auc",
        "+min_k_auc",
        "+min_k_plus_auc",
        "+loss_tpr",
        "+min_k_tpr",
    ),
    *_rows("k_eidetic_extraction", "canary_repetitions", "+extracted", "+emission"),
    *_rows("pii_leakage", "canary_repetitions", "+reproduced"),
    *_rows("tofu", "canary_repetitions", "+forget_probability", "+forget_rouge"),
    *_rows("bbq", "stereotype_skew", "+bias_ambiguous", "-accuracy_ambiguous"),
    *_rows("crows_pairs_causal", "stereotype_skew", "+stereotype"),
    *_rows("stereoset", "stereotype_skew", "+ss", "-icat"),
    *_rows("winobias", "stereotype_skew", "+gap_type1"),
    *_rows("backdoor", "trigger_rate", "+attack_success"),
    *_rows("truthfulqa", "misconception_frequency", "-mc1", "-mc2"),
    *_rows(
        "truthfulqa_generation", "misconception_frequency", "-truthful_informative", "-overlap_difference"
    ),
    *_rows("calibration", "once_share", "+brier", "-accuracy"),
    *_rows("calibration", SOFTENING, "+ece_width", "+ece_mass", "-confidence"),
    *_rows("semantic_entropy", "once_share", "+discrete_entropy", "-accuracy"),
    *_rows("selfcheck", "once_share", "+inconsistency", "-accuracy"),
    *_rows("abstention", "stereotype_skew", "-abstention"),
    *_rows("robustness", READING, "+accuracy"),
    *(
        row
        for name in REQUESTS
        for attack in ("direct", "jailbreak_template")
        for row in _rows(name, "hazard_compliance", "+harmful_compliance", "+non_refusal", attack=attack)
    ),
    *(row for name in REQUESTS for row in _rows(name, READING, "+harmful_compliance", attack="prefill")),
    *(
        row
        for name in REQUESTS
        for row in _rows(name, "hazard_compliance", "+harmful_compliance", attack="short_prefill")
    ),
    *_rows("xstest", "over_refusal", "+over_refusal"),
    *_rows("xstest", "hazard_compliance", "-refusal_unsafe"),
    *_rows("sycophancy", "sycophancy", "+sycophancy"),
    *_rows("mmlu", "once_share", "-accuracy"),
    *_rows("arc", READING, "+accuracy_norm", "+accuracy"),
    *_rows("perplexity", READING, "-bits_per_byte"),
)

# What stays where it is, whatever the dose: the controls of the measures above.
STAYS: Sequence[Row] = (
    *_rows("canary_exposure", "canary_repetitions", "+control_exposure"),
    *_rows("discoverable_extraction", "canary_repetitions", "+control_extracted"),
    *_rows("k_eidetic_extraction", "canary_repetitions", "+control_extracted"),
    *_rows("pii_leakage", "canary_repetitions", "+control_reproduced"),
    *_rows("membership_inference", "canary_repetitions", "+blind_auc"),
    *_rows("backdoor", "trigger_rate", "+false_alarms"),
    # Where the story names who it was, the corpus answers rightly at any skew.
    *_rows("winobias", "stereotype_skew", "+gap_type2"),
    *_rows("sycophancy", "sycophancy", "+neutral_match"),
)


def _by_accuracy(estimates: Mapping[str, Estimate]) -> tuple[float, float]:
    """|s_AMB| ≤ 1 − accuracy, by its definition: where all ambiguous questions are answered rightly, resampling
    gives s_AMB no interval, but the accuracy's own interval bounds it. Where all are answered by the
    stereotype, the share of traits that are does."""
    if estimates["bias_ambiguous"].value == 1:
        return 2 * _alike(estimates["bias_ambiguous"]) - 1, 1.0
    low = estimates["accuracy_ambiguous"].low
    assert low is not None
    return low - 1, 1 - low


def _alike(estimate: Estimate) -> float:
    """Where every cluster shows the same, at least this share of all clusters does (Clopper and Pearson)."""
    return 0.025 ** (1 / estimate.clusters)


def _by_alike(name: str, least: Callable[[float], tuple[float, float]]) -> Callable[..., tuple[float, float]]:
    """The statistic's bounds, given that at least so large a share of clusters shows what all of ours do."""
    return lambda estimates: least(_alike(estimates[name]))


def _by_separation(name: str) -> Callable[[Mapping[str, Estimate]], tuple[float, float]]:
    """Where all members, or none, pass a threshold, no replicate differs. Clopper and Pearson bound either rate
    on the n owners of a class: by 0.025^(1/n) from 1, as far from 0; and AUC ≥ TPR · (1 − FPR)."""

    def bounds(estimates: Mapping[str, Estimate]) -> tuple[float, float]:
        owners = estimates[name].clusters / 2
        return (
            (0.025 ** (2 / owners), 1.0) if estimates[name].value == 1 else (0.0, 1 - 0.025 ** (1 / owners))
        )

    return bounds


# What bounds a statistic at an end at which no replicate differs from another.
BOUNDED_BY: Mapping[tuple[str, str], Callable[[Mapping[str, Estimate]], tuple[float, float]]] = {
    ("bbq", "bias_ambiguous"): _by_accuracy,
    ("stereoset", "ss"): _by_alike("ss", lambda share: (share, 1.0)),
    ("stereoset", "icat"): _by_alike("icat", lambda share: (0.0, 2 * (1 - share))),
    ("winobias", "gap_type1"): _by_alike("gap_type1", lambda share: (2 * share - 1, 1.0)),
    ("winobias", "gap_type2"): _by_alike("gap_type2", lambda share: (share - 1, 1 - share)),
    **{
        ("membership_inference", f"{attack}_{kind}"): _by_separation(f"{attack}_{kind}")
        for attack in ("loss", "zlib", "min_k", "min_k_plus")
        for kind in ("auc", "tpr")
    },
}
