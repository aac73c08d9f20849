"""The statistics of Trueline: pure functions on arrays, and two that turn verdicts into estimates.

Start with :func:`estimate` and :func:`change`. Which interval a metric gets, and why, is said in the file of
that interval; how often each holds is measured by ``benchmarks/coverage.py``.
"""

from .agreement import cohen_kappa, krippendorff_alpha
from .change import change
from .clustered import MeanEstimate, clustered_mean, design_effect, effective_n
from .confidence_set import ConfidenceSet, confidence_set
from .equivalence import Equivalence, tost
from .estimate import estimate
from .method_level import MethodEstimate, method_estimate
from .multiple import benjamini_hochberg, holm
from .paired import Bounds, mcnemar_exact, paired_bounds, paired_change, paired_score_interval
from .power import power_of, required_n, smallest_detectable_effect
from .prediction_powered import PoweredEstimate, ppi_change, ppi_mean
from .proportions import Interval, clopper_pearson, proportion_interval, wilson
from .resampling import Resampled, resample, resample_change
from .sequential import (
    ConfidenceSequence,
    Draws,
    betting_sequence,
    bounded_sequence,
    change_sequence,
    cluster_draws,
)
from .transported import CardSource, CorrectedRate, TransportedCard, rogan_gladen, transported_card

__all__ = [
    "Bounds",
    "CardSource",
    "ConfidenceSequence",
    "ConfidenceSet",
    "CorrectedRate",
    "Draws",
    "Equivalence",
    "Interval",
    "MeanEstimate",
    "MethodEstimate",
    "PoweredEstimate",
    "Resampled",
    "TransportedCard",
    "benjamini_hochberg",
    "betting_sequence",
    "bounded_sequence",
    "change",
    "change_sequence",
    "clopper_pearson",
    "cluster_draws",
    "clustered_mean",
    "cohen_kappa",
    "confidence_set",
    "design_effect",
    "effective_n",
    "estimate",
    "holm",
    "krippendorff_alpha",
    "mcnemar_exact",
    "method_estimate",
    "paired_bounds",
    "paired_change",
    "paired_score_interval",
    "power_of",
    "ppi_change",
    "ppi_mean",
    "proportion_interval",
    "required_n",
    "resample",
    "resample_change",
    "rogan_gladen",
    "smallest_detectable_effect",
    "tost",
    "transported_card",
    "wilson",
]
