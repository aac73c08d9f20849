"""A transformers decoder as a target: frozen configuration in, answers and scores out, through the engine.

target = LocalTarget.from_pretrained("path/or/owner/name")
steered = target.with_intervention(add_direction)      # the first target is unchanged
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from trueline.core.errors import NotMeasurableError
from trueline.core.fingerprint import fingerprint
from trueline.core.messages import Completion, Prompt, Sampling, Score
from trueline.core.protocols import Capability

from .cuts import Cut, join_windows, known_cut
from .encoding import Encoding
from .engine import VERSION, Engine, default_engine
from .loading import LoadOptions, check_pair
from .model_folder import find_folder
from .requests import Intervention, Request
from .sampling.jobs import Draw, Job, check_sampling
from .sampling.noise import stream_key
from .sources import FolderSource, MemorySource, ModelSource, end_tokens
from .templates import ChatTemplate
from .trees import Tree

__all__ = ["Intervention", "LocalTarget"]

T = TypeVar("T")
_WINDOW_NAMES = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len")


@dataclass(frozen=True, kw_only=True)
class LocalTarget:
    """A local model with its system prompt and interventions.

    - Generation follows the request alone: sampling settings that a model folder suggests (temperature, top-k
      ...) are not applied, only its end tokens. Behaviour log-probabilities are at temperature 1,
      untruncated.
    - A prompt that leaves no room in the context window raises NotMeasurableError; one that leaves less than
      ``max_tokens`` is generated up to the window's end, with the finish reason "length".
    - The random stream of a sample comes from (seed, the prompt as given, sample index), so that the same
      target with another system prompt or intervention draws with the same noise.
    """

    name: str
    source: ModelSource
    system_prompt: str | None = None
    interventions: tuple[Intervention, ...] = ()
    chat_template: str | None = None
    cut: Cut = "common"
    engine: Engine = field(default_factory=default_engine, repr=False, compare=False)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path,
        *,
        dtype: str = "auto",
        device: str = "cpu",
        quantization: str | None = None,
        system_prompt: str | None = None,
        trust_remote_code: bool = False,
        cut: str = "common",
        name: str | None = None,
        engine: Engine | None = None,
    ) -> "LocalTarget":
        """A model or adapter folder, or a hub name. Checked now, loaded when first needed.

        ``dtype`` auto is the one in which the weights are stored; ``quantization`` is 8bit or 4bit; ``cut``
        'harness' cuts texts as lm-eval does (``cuts``).

        Raises:
            InputError: the folder, or one of the options, cannot be used.
        """
        options = LoadOptions(
            dtype=dtype, device=device, quantization=quantization, trust_remote_code=trust_remote_code
        )
        folder = find_folder(str(name_or_folder), trust_remote_code=trust_remote_code)
        given = Path(name_or_folder)
        usual = given.resolve().name if given.is_dir() else str(name_or_folder)
        return cls(
            name=name or usual,
            source=FolderSource(folder, options),
            system_prompt=system_prompt,
            cut=known_cut(cut),
            engine=engine or default_engine(),
        )

    @classmethod
    def from_module(
        cls,
        model: Any,
        tokenizer: Any,
        *,
        name: str,
        system_prompt: str | None = None,
        engine: Engine | None = None,
    ) -> "LocalTarget":
        """A module that the caller holds and will not train further (save it first, or wrap a copy)."""
        check_pair(model, tokenizer, name)
        source = MemorySource(model, tokenizer)
        return cls(name=name, source=source, system_prompt=system_prompt, engine=engine or default_engine())

    def with_system_prompt(self, text: str | None) -> "LocalTarget":
        """The same model under this system prompt instead of its own."""
        return replace(self, system_prompt=text)

    def with_template(self, text: str) -> "LocalTarget":
        """The same model under this chat template (Jinja) instead of its tokenizer's own."""
        return replace(self, chat_template=text)

    def with_cut(self, cut: str) -> "LocalTarget":
        """The same model, its texts cut in this way ('common', or 'harness' for parity with lm-eval)."""
        return replace(self, cut=known_cut(cut))

    def with_intervention(self, intervention: Intervention) -> "LocalTarget":
        """The same model with one more intervention, entered after those it has."""
        return replace(self, interventions=(*self.interventions, intervention))

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Everything that the vocabulary knows."""
        return frozenset(Capability)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, loaded at first use."""
        return self.source.tokenizer

    @property
    def model(self) -> Any:
        """The module without interventions, loaded if absent. Whoever keeps it keeps it in memory; do not run
        it while requests are under way (``on_module`` takes its turn), nor ask for it within ``on_module``."""
        return self.engine.submit_now(
            Request(source=self.source, kind="call", payload=lambda model: model)
        ).result()

    @cached_property
    def encoding(self) -> Encoding:
        """Text to tokens and back."""
        template = ChatTemplate(self.tokenizer, self.chat_template)
        return Encoding(self.tokenizer, template, self.system_prompt, self.cut)

    @cached_property
    def context_window(self) -> int | None:
        """Most tokens of prompt and answer together; None where the model states none."""
        config = self.source.config.get_text_config()
        found = [getattr(config, name, None) for name in _WINDOW_NAMES]
        return next((int(size) for size in found if isinstance(size, int) and size > 0), None)

    def fingerprint(self) -> str:
        """Covers the weights' bytes, configuration, tokenizer, template, system prompt, adapters,
        interventions, dtype, device kind, quantisation and engine version."""
        where = self.source.describe()
        return fingerprint(
            {
                "kind": "local",
                "engine": VERSION,
                "model": self.source.digest(),
                "dtype": where["dtype"],
                "device": str(where["device"]).split(":")[0],
                "quantization": where["quantization"],
                "template": self.encoding.template.source,
                "system_prompt": self.system_prompt,
                "interventions": [intervention.key for intervention in self.interventions],
                **({} if self.cut == "common" else {"cut": self.cut}),
            }
        )

    def describe(self) -> Mapping[str, Any]:
        """Provenance. ``preamble`` is what the template puts before a user's first words by itself, so a
        default system prompt shows there."""
        import torch
        import transformers

        template = self.encoding.template
        return {
            "kind": "local",
            "name": self.name,
            **self.source.describe(),
            "parameters": self.source.parameters,
            "architecture": self.source.config.model_type,
            "context_window": self.context_window,
            "system_prompt": self.system_prompt,
            "preamble": template.preamble,
            "template": template.source,
            "system_role": "own message" if template.takes_system else "merged into the first user turn",
            "interventions": [intervention.key for intervention in self.interventions],
            "generation": {
                "end_tokens": sorted(end_tokens(self.source)),
                "stop": list(template.stops),
                "logprobs": "temperature 1, untruncated",
            },
            "cut": self.cut,
            "engine": VERSION,
            "versions": {"torch": str(torch.__version__), "transformers": transformers.__version__},
            "fingerprint": self.fingerprint(),
        }

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        """``sampling.samples`` completions.

        Raises:
            InputError: a setting is outside its range, or the template refuses the conversation.
            NotMeasurableError: the prompt leaves no room in the context window.
        """
        future: Future[Any] = Future()
        job = self.job(prompt, sampling, abandoned=future.done)
        request = Request(
            source=self.source, kind="generate", payload=job, interventions=self.interventions, future=future
        )
        return self.completions(prompt, job, await self.engine.submit(request))

    def job(
        self, prompt: Prompt, sampling: Sampling, *, abandoned: Callable[[], bool] = lambda: False
    ) -> Job:
        """What ``generate`` asks of a sampler. Raises as it does."""
        check_sampling(sampling)
        tokens = self.encoding.start(prompt)
        stops = sampling.stop if isinstance(prompt, str) else (*sampling.stop, *self.encoding.template.stops)
        return Job(
            prompt=tokens,
            sampling=replace(sampling, stop=stops),
            stream=stream_key(sampling.seed, prompt),
            limit=min(sampling.max_tokens, self._room(len(tokens))),
            abandoned=abandoned,
        )

    def completions(self, prompt: Prompt, job: Job, draws: Sequence[Draw]) -> tuple[Completion, ...]:
        """A job's draws as completions."""
        return tuple(self._completion(prompt, job.prompt, draw, job.sampling.stop) for draw in draws)

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """Log-likelihood of each continuation: one value for each token after the longest token prefix that
        is common to the prompt and every prompt + continuation (``prompt_tokens``); see ``Encoding.tree`` for
        documents. A whole document (after an empty prompt) longer than the context window is read in windows.

        Raises:
            NotMeasurableError: one is longer than the context window.
        """
        if not continuations:
            return ()
        trunk, branches = await self._branches("score", prompt, continuations)
        return tuple(Score(token_logprobs=tuple(branch), prompt_tokens=trunk) for branch in branches)

    async def score_with_moments(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """As ``score``, with the moments of the vocabulary at each token, out of the same forward pass."""
        if not continuations:
            return ()
        trunk, branches = await self._branches("moments", prompt, continuations)
        return tuple(
            Score(token_logprobs=tuple(logprobs), prompt_tokens=trunk, moments=tuple(zip(means, variances)))
            for logprobs, means, variances in branches
        )

    async def _branches(
        self, kind: Literal["score", "moments"], prompt: Prompt, continuations: Sequence[str]
    ) -> tuple[int, list[Any]]:
        """The number of tokens in the trunk, and what the engine says of each branch."""

        async def ask(tree: Tree) -> list[Any]:
            request = Request(source=self.source, kind=kind, payload=tree, interventions=self.interventions)
            branches: list[Any] = await self.engine.submit(request)
            return branches

        if prompt == "" and (documents := self._windows(continuations)):
            return 1, [join_windows(await asyncio.gather(*map(ask, windows))) for windows in documents]
        tree = self.tree(prompt, continuations)
        # Equal continuations are read once: rounding must not break their tie.
        distinct = tuple(dict.fromkeys(tree.branches))
        answers = dict(zip(distinct, await ask(replace(tree, branches=distinct))))
        return len(tree.trunk), [answers[branch] for branch in tree.branches]

    def _windows(self, documents: Sequence[str]) -> list[list[Tree]]:
        """Each document in windows; none where all fit."""
        if (size := self.context_window) is None:
            return []
        found = [self.encoding.windows(document, size) for document in documents]
        return found if any(len(windows) > 1 for windows in found) else []

    def tree(self, prompt: Prompt, continuations: Sequence[str]) -> Tree:
        """What ``score`` asks of a scorer. Raises as it does."""
        tree = self.encoding.tree(prompt, continuations)
        # The last token of all predicts nothing, so it need not fit.
        longest = len(tree.trunk) + max(map(len, tree.branches)) - 1
        if self.context_window is not None and longest > self.context_window:
            raise NotMeasurableError(
                f"prompt and continuation take {longest + 1} tokens, but the context window of {self.name} has "
                f"{self.context_window}; shorten the text, or choose a model with a longer window."
            )
        return tree

    async def on_module(self, function: Callable[[Any], T]) -> T:
        """``function(module)`` in the module's own thread, under the interventions, gradients as it likes:
        for hidden states and gradients. It must leave the module as it was."""
        request = Request(source=self.source, kind="call", payload=function, interventions=self.interventions)
        result: T = await self.engine.submit(request)
        return result

    def _room(self, prompt_tokens: int) -> int:
        window = self.context_window
        if window is None:
            return 2**62
        if prompt_tokens >= window:
            raise NotMeasurableError(
                f"the prompt takes {prompt_tokens} tokens, but the context window of {self.name} has "
                f"{window}; shorten the prompt, or choose a model with a longer window."
            )
        return window - prompt_tokens

    def _completion(
        self, prompt: Prompt, tokens: Sequence[int], draw: Draw, stops: Sequence[str]
    ) -> Completion:
        spoken = self.encoding.spoken(prompt, tokens, draw.tokens, stops)
        outcome: Literal["answered", "truncated"] = "truncated" if draw.finish == "length" else "answered"
        return Completion(
            text=spoken.text,
            outcome=outcome,
            finish_reason=draw.finish,
            raw=None if spoken.text == spoken.raw else spoken.raw,
            reasoning=spoken.reasoning,
            token_ids=draw.tokens,
            logprobs=draw.logprobs,
            prompt_tokens=len(tokens),
            tokens=len(draw.tokens),
            model=self.name,
        )
