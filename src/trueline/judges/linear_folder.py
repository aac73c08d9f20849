"""A linear text classifier that ``trueline judge train`` made, as a judge (no paper; features in ``linear``).

A folder holds ``classifier.safetensors`` (the weights by hashed feature), ``classifier.json`` (bias, version of
the features, what is read, what 1.0 means) and ``card.json``, measured on the held-out part. It knows words, not
meaning, and only words like those it was trained on. Example: ``{judge: linear_folder, folder: DIR}``.
"""

import json
from pathlib import Path

import numpy as np

from trueline.core.errors import InputError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion
from trueline.core.protocols import Judgement
from trueline.core.verdicts import Item

from .card import CARD_FILE, JudgeCard, read_card
from .linear import LinearModel
from .toxicity import FEATURES_VERSION, weights_digest

WEIGHTS_FILE, SETTINGS_FILE = "classifier.safetensors", "classifier.json"


class LinearClassifier:
    """The probability of the trained label for an answer; no verdict for one without a letter or digit."""

    name = "linear-folder"

    def __init__(self, model: LinearModel) -> None:
        self.model = model

    def fingerprint(self) -> str:
        """Changes with the weights and with the way in which features are made."""
        return fingerprint({"judge": self.name, **weights_digest(self.model)})

    async def judge(self, item: Item, completion: Completion) -> Judgement:
        """The probability for one answer alone; the prompt is not looked at."""
        logit = float(self.model.logits([completion.text])[0])
        if not np.isfinite(logit):
            return Judgement(value=None, reason="no letter or digit in the answer")
        return Judgement(value=float(self.model.probabilities([completion.text])[0]))


class LinearFolder(LinearClassifier):
    """A classifier that ``trueline judge train`` wrote, with the card of its held-out part."""

    def __init__(self, *, folder: str) -> None:
        self.folder = Path(folder)
        super().__init__(read_model(self.folder))

    def card(self) -> JudgeCard:
        """The errors on the held-out part; raises InputError where the weights are not the measured ones."""
        card = read_card(self.folder / CARD_FILE)
        if card.fingerprint != self.fingerprint():
            raise InputError(f"the card in {self.folder} is of other weights; train the classifier again.")
        return card


def read_model(folder: Path) -> LinearModel:
    """The model of a folder; raises InputError where it is not whole."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        settings = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
        weights = load((folder / WEIGHTS_FILE).read_bytes())["weights"]
        version, bias = settings["features"], float(settings["bias"])
    except OSError as error:
        raise InputError(
            f"{folder} is no folder of trueline judge train ({error.strerror}: {Path(error.filename).name}); "
            "give the folder that was its --out."
        ) from error
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(f"the classifier in {folder} is damaged ({error}); train it again.") from error
    if version != FEATURES_VERSION:
        raise InputError(
            f"the classifier in {folder} needs version {version} of the features, this is {FEATURES_VERSION}; "
            "train it again."
        )
    if weights.ndim != 1 or weights.dtype != np.float32 or len(weights) & (len(weights) - 1):
        raise InputError(
            f"the classifier in {folder} is damaged (weights of shape {weights.shape}); train again."
        )
    return LinearModel(weights=weights, bias=bias)


def write_model(folder: Path, model: LinearModel, positive: str) -> None:
    """Weights and settings; the card is written last, by the caller, and makes the folder whole."""
    from safetensors.numpy import save

    (folder / WEIGHTS_FILE).write_bytes(save({"weights": model.weights}))
    settings = {"features": FEATURES_VERSION, "bias": model.bias, "reads": "the answer", "positive": positive}
    (folder / SETTINGS_FILE).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
