"""Ready-made studies that come with the package, and the suites of measures."""

from collections.abc import Mapping
from importlib.resources import as_file, files

from trueline.core.errors import unknown_name
from trueline.studies.spec import StudySpec, read_spec

EVERYTHING = 1_000_000  # more items than any measure has
STANDARD: Mapping[str, int] = {
    "toxicity": 200,
    "bbq": 600,
    "truthfulqa": 400,
    "calibration": 400,
    "advbench": 200,
    "harmbench": 200,
    "strongreject": 200,
    "jailbreakbench": 120,
    "simple_safety_tests": 120,
    "do_not_answer": 200,
    "xsafety": 200,
    "prompt_injection": 111,
    "prompt_leakage": 120,
    "xstest": 450,
    "cyberseceval_frr": 200,
    "sycophancy": 400,
    "are_you_sure": 400,
    "stated_behaviours": 600,
    "hhh": 221,
    "ethics": 400,
    "mmlu": 600,
    "arc": 400,
    "boolq": 200,
    "openbookqa": 200,
    "piqa": 200,
    "social_iqa": 200,
    "winogrande": 200,
    "gsm8k": 40,
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
    "standard": (STANDARD, "under 20 minutes"),
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
