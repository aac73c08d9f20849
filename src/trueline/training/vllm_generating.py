"""Rollouts by vLLM (Kwon et al. 2023, arXiv 2309.06180) on the GPU that trains, in the same process.

vLLM holds a copy of the policy under its own kernels: it is built without weights, takes the trainer's before each
rollout (adapters added in), and forgets the keys and values that it cached under the old ones. It reads tokens and
answers tokens, so nothing is tokenised again. Its log-probabilities are those of the raw logits; since its kernels
round otherwise than the trainer's, they count as the sampler's only: the trainer computes its own, and the gap is kept
in the history as ``mismatch``. Draws are seeded by request, but may differ with what else is in the batch.

Written against vLLM 0.31's documented interface (``LLM.generate``, ``LLM.apply_model``, ``LLM.reset_prefix_cache``) and
tested against a stand-in for it: it has not been run on a GPU.
"""

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from trueline.core.errors import InputError, UnfinishedError
from trueline.models.forward.paths import unwrap
from trueline.models.sampling.jobs import Draw, Ending, Job, Running, Slot

from .codec import Speech
from .generating import Generator, ModuleGenerator
from .scoring import Forward

# "0": the engine shares our process, so weights are handed over as they are
IN_PROCESS = "VLLM_ENABLE_V1_MULTIPROCESSING"


def usual_generator(*, cpu: bool) -> Generator:
    """vLLM where it is installed and one GPU trains, else (and on the ``cpu``) the module that is trained."""
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    if not cpu and alone and torch.cuda.is_available() and find_spec("vllm") is not None:
        return VLLMGenerator()
    return ModuleGenerator()


class VLLMGenerator:
    """Draws by vLLM, which may take ``memory_share`` of the GPU for its weights, keys and values."""

    exact = False

    def __init__(self, *, memory_share: float = 0.3) -> None:
        if not 0 < memory_share < 1:
            raise InputError(f"memory_share {memory_share} is not allowed: give a number between 0 and 1.")
        self._memory_share = memory_share
        self._model: nn.Module | None = None
        self._llm: Any = None
        self._ending: Ending | None = None

    def fingerprint(self) -> str:
        """Its memory changes no draw."""
        return "vllm"

    def begin(self, model: nn.Module, speech: Speech, forward: Forward) -> None:
        """Build vLLM's copy of the model. Raises InputError where it is not installed."""
        os.environ[IN_PROCESS] = "0"
        try:
            from vllm import LLM
        except ImportError as error:
            raise InputError(
                f"vLLM cannot be imported ({error}); pip install vllm, or give generator=ModuleGenerator()."
            ) from error
        self._model = model
        self._ending = Ending(end_tokens=speech.end_tokens, decode=speech.decode)
        with TemporaryDirectory() as folder:
            unwrap(model).config.save_pretrained(Path(folder))
            self._llm = LLM(
                model=folder,
                load_format="dummy",
                skip_tokenizer_init=True,
                dtype="bfloat16" if forward.precision == "bf16" else "float32",
                gpu_memory_utilization=self._memory_share,
                logprobs_mode="raw_logprobs",
            )

    def sync_weights(self) -> None:
        """Hand vLLM the newest weights."""
        assert self._model is not None
        weights = list(plain_weights(self._model))
        self._llm.apply_model(lambda model: model.load_weights(weights))
        self._llm.reset_prefix_cache()

    def draw(self, jobs: Sequence[Job]) -> list[tuple[Draw, ...]]:
        """The draws of each job, in the order given."""
        from vllm import SamplingParams

        assert self._ending is not None
        settings = [
            SamplingParams(
                n=job.sampling.samples,
                temperature=job.sampling.temperature,
                top_p=job.sampling.top_p,
                max_tokens=job.limit,
                seed=job.sampling.seed,
                stop_token_ids=sorted(self._ending.end_tokens),
                ignore_eos=True,  # the end tokens above are the ones that count
                logprobs=0,  # of the drawn token alone
                detokenize=False,
            )
            for job in jobs
        ]
        prompts = [{"prompt_token_ids": list(job.prompt)} for job in jobs]
        answers = self._llm.generate(prompts, settings, use_tqdm=False)
        return [
            tuple(_draw(job, sample, self._ending) for sample in answer.outputs)
            for job, answer in zip(jobs, answers, strict=True)
        ]


def plain_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """A model's weights under the names of its checkpoint: adapters are added into theirs, a critic is left out."""
    inner = unwrap(model)
    added = {
        f"{name}.base_layer.weight": sum(
            module.get_delta_weight(adapter) for adapter in module.active_adapters
        )
        for name, module in inner.named_modules()
        if hasattr(module, "get_delta_weight")
    }
    for name, weight in inner.state_dict().items():
        if ".lora_" not in name and not name.startswith("value_head."):
            whole = weight + added[name].to(weight) if name in added else weight
            yield name.replace(".base_layer.", "."), whole


def _draw(job: Job, sample: Any, ending: Ending) -> Draw:
    """vLLM's answer up to where it ends by our rules: a stop text is found here, since vLLM sees no text."""
    slot = Slot(Running.of(job), 0)
    for token, seen in zip(sample.token_ids, sample.logprobs, strict=True):
        slot.tokens.append(int(token))
        slot.logprobs.append(float(seen[token].logprob))
        if (finish := ending.of(slot)) is not None:
            return Draw(tokens=tuple(slot.tokens), logprobs=tuple(slot.logprobs), finish=finish)
    raise UnfinishedError(
        f"vLLM gave up an answer after {len(slot.tokens)} tokens ({sample.finish_reason}); run the same command again."
    )
