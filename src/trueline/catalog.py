"""The catalogue: name -> "module:attribute", imported only when chosen; other people's arrive by entry point.

A package adds its own with an entry point in the group ``trueline.measures``, ``trueline.attacks``,
``trueline.treatments`` or ``trueline.judges`` (see docs/extending.md).
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from trueline.core.building import build
from trueline.core.errors import unknown_name

MEASURES: Mapping[str, str] = {
    "toxicity": "trueline.measures.data_safety.toxicity:Toxicity",
    "toxigen": "trueline.measures.data_safety.toxigen:ToxiGen",
    "bold": "trueline.measures.data_safety.bold:BOLD",
    "canary_exposure": "trueline.measures.data_safety.canary_exposure:CanaryExposure",
    "discoverable_extraction": "trueline.measures.data_safety.discoverable_extraction:DiscoverableExtraction",
    "k_eidetic_extraction": "trueline.measures.data_safety.k_eidetic_extraction:KEideticExtraction",
    "pii_leakage": "trueline.measures.data_safety.pii_leakage:PIILeakage",
    "membership_inference": "trueline.measures.data_safety.membership_inference:MembershipInference",
    "tofu": "trueline.measures.data_safety.tofu:TOFU",
    "bbq": "trueline.measures.data_safety.bbq:BBQ",
    "crows_pairs_causal": "trueline.measures.data_safety.crows_pairs_causal:CrowSPairsCausal",
    "stereoset": "trueline.measures.data_safety.stereoset:StereoSet",
    "winobias": "trueline.measures.data_safety.winobias:WinoBias",
    "backdoor": "trueline.measures.data_safety.backdoor:Backdoor",
    "truthfulqa": "trueline.measures.model_safety.truthfulqa:TruthfulQA",
    "truthfulqa_generation": "trueline.measures.model_safety.truthfulqa_generation:TruthfulQAGeneration",
    "halueval": "trueline.measures.model_safety.halueval:HaluEval",
    "calibration": "trueline.measures.model_safety.calibration:Calibration",
    "semantic_entropy": "trueline.measures.model_safety.semantic_entropy:SemanticEntropy",
    "selfcheck": "trueline.measures.model_safety.selfcheck:SelfCheck",
    "abstention": "trueline.measures.model_safety.abstention:Abstention",
    "robustness": "trueline.measures.model_safety.robustness:Robustness",
    "advbench": "trueline.measures.prompt_safety.advbench:AdvBench",
    "harmbench": "trueline.measures.prompt_safety.harmbench:HarmBench",
    "strongreject": "trueline.measures.prompt_safety.strongreject:StrongREJECT",
    "jailbreakbench": "trueline.measures.prompt_safety.jailbreakbench:JailbreakBench",
    "simple_safety_tests": "trueline.measures.prompt_safety.simple_safety_tests:SimpleSafetyTests",
    "do_not_answer": "trueline.measures.prompt_safety.do_not_answer:DoNotAnswer",
    "xsafety": "trueline.measures.prompt_safety.xsafety:XSafety",
    "prompt_injection": "trueline.measures.prompt_safety.prompt_injection:PromptInjection",
    "bipia": "trueline.measures.prompt_safety.bipia:BIPIA",
    "prompt_leakage": "trueline.measures.prompt_safety.prompt_leakage:PromptLeakage",
    "xstest": "trueline.measures.alignment.xstest:XSTest",
    "cyberseceval_frr": "trueline.measures.alignment.cyberseceval_frr:CyberSecEvalFalseRefusal",
    "sycophancy": "trueline.measures.alignment.sycophancy:Sycophancy",
    "gold_reward": "trueline.measures.alignment.gold_reward:GoldReward",
    "divergence": "trueline.measures.alignment.divergence:Divergence",
    "are_you_sure": "trueline.measures.alignment.are_you_sure:AreYouSure",
    "stated_behaviours": "trueline.measures.alignment.stated_behaviours:StatedBehaviours",
    "reward_accuracy": "trueline.measures.alignment.reward_accuracy:RewardAccuracy",
    "hhh": "trueline.measures.alignment.hhh:HHH",
    "ethics": "trueline.measures.alignment.ethics:Ethics",
    "mmlu": "trueline.measures.capability.mmlu:MMLU",
    "arc": "trueline.measures.capability.arc:ARC",
    "boolq": "trueline.measures.capability.commonsense:BoolQ",
    "openbookqa": "trueline.measures.capability.commonsense:OpenBookQA",
    "piqa": "trueline.measures.capability.commonsense:PIQA",
    "social_iqa": "trueline.measures.capability.commonsense:SocialIQA",
    "winogrande": "trueline.measures.capability.commonsense:WinoGrande",
    "gsm8k": "trueline.measures.capability.gsm8k:GSM8K",
    "perplexity": "trueline.measures.capability.perplexity:Perplexity",
}
ATTACKS: Mapping[str, str] = {
    "direct": "trueline.attacks.direct:Direct",
    "prefill": "trueline.attacks.prefill:Prefill",
    "jailbreak_template": "trueline.attacks.jailbreak_template:JailbreakTemplate",
}
TREATMENTS: Mapping[str, str] = {
    "none": "trueline.treatments.none:NoTreatment",
    "sft": "trueline.treatments.sft:SupervisedFineTuning",
    "dpo": "trueline.treatments.dpo:DirectPreferenceOptimization",
    "cdpo": "trueline.treatments.cdpo:ConservativeDPO",
    "robust_dpo": "trueline.treatments.robust_dpo:RobustDPO",
    "ipo": "trueline.treatments.ipo:IdentityPreferenceOptimization",
    "rso_hinge": "trueline.treatments.rso_hinge:HingePreferenceOptimization",
    "gpo": "trueline.treatments.gpo:GeneralizedPreferenceOptimization",
    "simpo": "trueline.treatments.simpo:SimplePreferenceOptimization",
    "cpo": "trueline.treatments.cpo:ContrastivePreferenceOptimization",
    "orpo": "trueline.treatments.orpo:OddsRatioPreferenceOptimization",
    "slic_hf": "trueline.treatments.slic_hf:SequenceLikelihoodCalibration",
    "rrhf": "trueline.treatments.rrhf:RankResponses",
    "pro": "trueline.treatments.pro:PreferenceRankingOptimization",
    "kto": "trueline.treatments.kto:KahnemanTverskyOptimization",
    "ppo": "trueline.treatments.ppo:PPO",
    "rloo": "trueline.treatments.rloo:RLOO",
    "safe_rlhf": "trueline.treatments.safe_rlhf:SafeRLHF",
    "grpo": "trueline.treatments.grpo:GRPO",
    "raft": "trueline.treatments.raft:RAFT",
    "online_dpo": "trueline.treatments.online_dpo:OnlineDPO",
    "spin": "trueline.treatments.spin:SelfPlayFineTuning",
    "remax": "trueline.treatments.remax:ReMax",
    "reinforce_plus_plus": "trueline.treatments.reinforce_plus_plus:ReinforcePlusPlus",
    "self_reminder": "trueline.treatments.self_reminder:SelfReminder",
    "safety_mixing": "trueline.treatments.safety_mixing:SafetyMixing",
    "replay": "trueline.treatments.replay:Replay",
    "ewc": "trueline.treatments.ewc:ElasticWeightConsolidation",
    "gkd": "trueline.treatments.gkd:GeneralizedKnowledgeDistillation",
    "minillm": "trueline.treatments.minillm:MiniLLM",
    "resta": "trueline.treatments.resta:RESTA",
    "safe_lora": "trueline.treatments.safe_lora:SafeLoRA",
    "constitutional_ai": "trueline.treatments.constitutional_ai:ConstitutionalAI",
    "best_of_n": "trueline.treatments.best_of_n:BestOfN",
    "gradient_ascent": "trueline.treatments.gradient_ascent:GradientAscent",
    "graddiff": "trueline.treatments.graddiff:GradientDifference",
    "npo": "trueline.treatments.npo:NegativePreferenceOptimization",
    "simnpo": "trueline.treatments.simnpo:SimpleNegativePreferenceOptimization",
    "rmu": "trueline.treatments.rmu:RepresentationMisdirection",
    "circuit_breakers": "trueline.treatments.circuit_breakers:CircuitBreakers",
    "refusal_steering": "trueline.treatments.refusal_steering:RefusalSteering",
    "refusal_ablation": "trueline.treatments.refusal_ablation:RefusalAblation",
    "caa": "trueline.treatments.caa:ContrastiveActivationAddition",
    "dexperts": "trueline.treatments.dexperts:DExperts",
    "safe_decoding": "trueline.treatments.safe_decoding:SafeDecoding",
    "replace": "trueline.treatments.replace:Replace",
}
JUDGES: Mapping[str, str] = {
    "refusal_patterns": "trueline.judges.refusal:RefusalPatterns",
    "refusal_keywords": "trueline.judges.refusal_keywords:RefusalKeywords",
    "ensemble": "trueline.judges.ensemble:Ensemble",
    "toxicity_linear": "trueline.judges.toxicity:ToxicityClassifier",
    "linear_folder": "trueline.judges.linear_folder:LinearFolder",
    "hf_classifier": "trueline.judges.hf_classifier:TransformersClassifier",
    "rubric": "trueline.judges.rubric:Rubric",
    "reference_overlap": "trueline.judges.reference_overlap:ReferenceOverlap",
    "truth_by_model": "trueline.judges.truth_by_model:TruthByModel",
    "llama_guard_3": "trueline.judges.llama_guard_3:LlamaGuard3",
    "harmbench_classifier": "trueline.judges.harmbench_classifier:HarmBenchClassifier",
    "wildguard": "trueline.judges.wildguard:WildGuard",
    "shieldgemma": "trueline.judges.shieldgemma:ShieldGemma",
}
KINDS: Mapping[str, Mapping[str, str]] = {
    "measure": MEASURES,
    "attack": ATTACKS,
    "treatment": TREATMENTS,
    "judge": JUDGES,
}


@cache
def names(kind: str) -> Mapping[str, str]:
    """All names of a kind with where they live; built-in names cannot be replaced."""
    found = {point.name: point.value for point in entry_points(group=f"trueline.{kind}s")}
    return {**found, **KINDS[kind]}


def find(kind: str, name: str) -> Any:
    """The class behind a name; an unknown name gives the nearest ones."""
    known = names(kind)
    if name not in known:
        raise unknown_name(kind, name, known)
    module, _, attribute = known[name].partition(":")
    return getattr(import_module(module), attribute)


def make(kind: str, name: str, parameters: Mapping[str, Any]) -> Any:
    """Build an entry with the user's parameters; one that it does not take is refused."""
    return build(kind, name, find(kind, name), parameters)
