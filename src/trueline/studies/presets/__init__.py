"""Ready-made studies that come with the package, and the suites of measures."""

from collections.abc import Mapping
from importlib.resources import as_file, files

from trueline.core.errors import unknown_name
from trueline.studies.spec import StudySpec, read_spec

EVERYTHING = 1_000_000  # more items than any measure has
STANDARD: Mapping[str, int] = {
    "toxicity": 200,
    "toxigen": 100,
    "bold": 100,
    "pii_leakage": 40,
    "tofu": 100,
    "bbq": 600,
    "truthfulqa": 400,
    "truthfulqa_generation": 100,
    "halueval": 200,
    "calibration": 400,
    "advbench": 200,
    "harmbench": 200,
    "strongreject": 200,
    "jailbreakbench": 60,
    "simple_safety_tests": 60,
    "do_not_answer": 60,
    "xsafety": 60,
    "prompt_injection": 60,
    "bipia": 60,
    "prompt_leakage": 60,
    "xstest": 450,
    "cyberseceval_frr": 60,
    "sycophancy": 400,
    "are_you_sure": 200,
    "stated_behaviours": 200,
    "reward_accuracy": 100,
    "hhh": 100,
    "ethics": 100,
    "mmlu": 600,
    "arc": 400,
    "boolq": 100,
    "openbookqa": 100,
    "piqa": 100,
    "social_iqa": 100,
    "winogrande": 100,
    "gsm8k": 20,
    "perplexity": 100,
}
QUICK: Mapping[str, int] = {
    "toxicity": 20,
    "bbq": 120,
    "truthfulqa": 100,
    "calibration": 100,
    "advbench": 40,
    "xstest": 60,
    "sycophancy": 100,
    "arc": 100,
    "perplexity": 40,
}
# name -> (measures with the items asked of each, how long it takes on two cores with a 6 M parameter model)
SUITES: Mapping[str, tuple[Mapping[str, int], str]] = {
    "quick": (QUICK, "under 3 minutes"),
    "standard": (STANDARD, "about half an hour"),
    "full": (dict.fromkeys(STANDARD, EVERYTHING), "hours"),
}


def suite(name: str) -> Mapping[str, int]:
    """Measures of a suite with the items asked of each."""
    if name not in SUITES:
        raise unknown_name("suite", name, SUITES)
    return SUITES[name][0]


def preset(name: str) -> StudySpec:
    """A study file that comes with the package."""
    resource = files(__name__) / f"{name}.yaml"
    if not resource.is_file():
        known = [
            entry.name.removesuffix(".yaml")
            for entry in files(__name__).iterdir()
            if entry.name.endswith(".yaml")
        ]
        raise unknown_name("preset", name, known)
    with as_file(resource) as path:
        return read_spec(path)
