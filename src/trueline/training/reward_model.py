"""A trained reward model: a decoder with a one-number head, read at the last token of the answer.

It is an ordinary transformers folder for sequence classification with one label. It scores through its *own*
tokenizer and chat template, whatever the model that it judges uses.
"""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from trueline.core.errors import InputError, NotMeasurableError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Conversation, Prompt
from trueline.models.encoding import Encoding
from trueline.models.templates import ChatTemplate

from .budget import NOTHING, Spent
from .codec import ChatCodec, Codec
from .config import TrainingConfig
from .flops import forward_flops, model_size
from .folders import without_bars
from .readings import REWARD, value_head
from .reference import weights_digest
from .scoring import outputs_of


def value_model(language_model: Any, *, pad_token: int, seed: int) -> nn.Module:
    """A reward model whose body is a copy of a language model's, in fp32, with a head drawn near zero.

    The head starts as N(0, 1/(d + 1)) for d hidden units (Stiennon et al. 2020, arXiv 2009.01325, appendix
    B.1).
    """
    from transformers import AutoModelForSequenceClassification

    config = deepcopy(language_model.config)
    config.num_labels = 1
    config.pad_token_id = pad_token
    config.dtype = torch.float32
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model: Any = AutoModelForSequenceClassification.from_config(config)
        except ValueError as error:
            raise InputError(
                f"no reward model can be made of {type(language_model).__name__}: transformers has no "
                "sequence-classification form of it; choose another base model."
            ) from error
        model.base_model.load_state_dict(language_model.base_model.state_dict())
        head: Any = value_head(model)
        nn.init.normal_(head.weight, std=(config.get_text_config().hidden_size + 1) ** -0.5)
    wide: nn.Module = model.float().eval()
    return wide


class TrainedReward:
    """Rewards of answers to a prompt, by a value model; ``key`` is the digest of its weights and template.

    ``took`` is what its training cost whoever learns from it: nothing where it was trained for other ends.
    """

    def __init__(
        self,
        model: nn.Module,
        codec: Codec,
        *,
        key: str,
        config: TrainingConfig | None = None,
        took: Spent = NOTHING,
    ) -> None:
        value_head(model)
        self._model, self._codec, self._key = model, codec, key
        self._config = config or TrainingConfig()
        self.took = took

    def fingerprint(self) -> str:
        """The digest of its weights and template."""
        return self._key

    def __call__(self, prompt: Prompt, answers: Sequence[str]) -> list[float]:
        """A reward for each answer, at the token that ends it; unbounded, comparable within a prompt.

        Raises NotMeasurableError where prompt and answer do not fit its window.
        """
        if isinstance(prompt, str):
            raise InputError("a reward model judges answers in a conversation; raw text has none.")
        tree = self._codec.tree(prompt, answers)
        window = getattr(self._model.config, "max_position_embeddings", None)
        longest = len(tree.trunk) + max(map(len, tree.branches), default=0)
        if window is not None and longest > window:
            raise NotMeasurableError(
                f"prompt and answer take {longest} of the reward model's tokens, but its window has {window}; shorten "
                "the text, or give a reward model with a longer window."
            )
        budget = self._config.pass_tokens(next(self._model.parameters()).device.type)
        with torch.no_grad():
            (values,) = outputs_of(self._model, [tree], [REWARD], token_budget=budget)[REWARD.name]
        return [float(value) for value in torch.cat(list(values)).cpu()]

    def flops(self, prompt: Conversation, answers: Sequence[str]) -> float:
        """What scoring these answers takes."""
        return forward_flops(model_size(self._model), [self._codec.tree(prompt, answers)])


def load_reward(folder: Path, *, took: Spent = NOTHING) -> TrainedReward:
    """A reward model from a transformers folder (sequence classification, one label), with its own tokenizer.

    Raises InputError when the folder is none, or its weights do not fit.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    key = weights_digest(folder)
    try:
        with without_bars():
            model, info = AutoModelForSequenceClassification.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"{folder} cannot be loaded as a reward model ({error}); get it again.") from error
    if info["missing_keys"]:
        raise InputError(
            f"{folder} is no reward model: it lacks {sorted(info['missing_keys'])[0]}; give a folder "
            "of a sequence-classification model with one label."
        )
    encoding = Encoding(tokenizer, ChatTemplate(tokenizer), None)
    ends = {tokenizer.eos_token_id, *_listed(getattr(model.config, "eos_token_id", None))} - {None}
    template = fingerprint([key, encoding.template.source])
    return TrainedReward(model.eval(), ChatCodec(encoding, frozenset(ends)), key=template, took=took)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
