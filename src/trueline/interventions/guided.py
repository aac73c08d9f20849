"""A target whose next-token distribution is combined from several models' (see ``decoding``).

What it samples from is what it scores: log-probabilities of completions, and of continuations, are those of the
combined distribution at temperature 1. Requests that arrive together run together, in rows of equal length, each
model with its own cache and in its own worker; interventions and system prompts of each are in force.

Shapes: S rows, T tokens of a branch, V vocabulary.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from trueline.core.errors import InputError
from trueline.core.messages import Completion, Prompt, Sampling, Score
from trueline.models.branches import score_trees
from trueline.models.local import LocalTarget
from trueline.models.sampling.drawing import Drawer
from trueline.models.sampling.jobs import Draw, Ending, Job, Running, Slot
from trueline.models.sampling.plain_decoding import CachedReader
from trueline.models.sources import end_tokens
from trueline.models.trees import Tree

from .decoding import Combination
from .gathering import Gatherer

ROWS = 128  # samples that are drawn together
HELD = 2**24  # log-probabilities of a model that are held at once while continuations are scored


class Guide:
    """Draws from, and scores under, the combination of a base and its helpers."""

    def __init__(self, base: LocalTarget, helpers: Sequence[LocalTarget], combine: Combination) -> None:
        self.base = base
        self.models = (base, *helpers)
        self.combine = combine
        vocabulary = base.tokenizer.get_vocab()
        for helper in helpers:
            if helper.tokenizer.get_vocab() != vocabulary:
                raise InputError(
                    f"{helper.name!r} has another vocabulary than {base.name!r}, so their next-token "
                    "probabilities cannot be combined; give a model with the same tokenizer."
                )
        self._drawing: Gatherer[list[Job], tuple[Draw, ...]] = Gatherer(self._draw_all)
        self._scoring: Gatherer[list[Tree], list[list[float]]] = Gatherer(self._score_all)

    async def generate(self, prompt: Prompt, sampling: Sampling) -> tuple[Completion, ...]:
        """Completions drawn from the combination. Raises as ``LocalTarget.generate`` does."""
        jobs = [model.job(prompt, sampling) for model in self.models]
        limit = min(job.limit for job in jobs)
        draws = await self._drawing.ask([replace(job, limit=limit) for job in jobs])
        return self.base.completions(prompt, jobs[0], draws)

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> tuple[Score, ...]:
        """Log-likelihoods under the combination. Raises as ``LocalTarget.score`` does."""
        if not continuations:
            return ()
        trees = [model.tree(prompt, continuations) for model in self.models]
        if any(tree.branches != trees[0].branches for tree in trees):
            raise InputError("the models cut prompt and continuation at different tokens; use one template.")
        found = await self._scoring.ask(trees)
        return tuple(Score(token_logprobs=tuple(f), prompt_tokens=len(trees[0].trunk)) for f in found)

    async def _draw_all(self, asked: Sequence[list[Job]]) -> list[tuple[Draw, ...]]:
        """Jobs of equal prompt lengths together, so that no row is padded."""
        alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, jobs in enumerate(asked):
            alike[tuple(len(job.prompt) for job in jobs)].append(number)
        running = [Running.of(jobs[0]) for jobs in asked]
        groups = []
        for numbers in alike.values():
            slots = [(n, Slot(running[n], s)) for n in numbers for s in range(asked[n][0].sampling.samples)]
            groups += [slots[start : start + ROWS] for start in range(0, len(slots), ROWS)]
        await asyncio.gather(*(self._draw(asked, group) for group in groups))
        return [run.finished or () for run in running]

    async def _draw(self, asked: Sequence[list[Job]], group: Sequence[tuple[int, Slot]]) -> None:
        ending = Ending(end_tokens=end_tokens(self.base.source), decode=self.base.source.decode)
        numbers, drawer = list(dict.fromkeys(number for number, _ in group)), Drawer()
        rows = [slot for _, slot in group]
        readers = [_Rows(model, [asked[n][k].prompt for n in numbers]) for k, model in enumerate(self.models)]
        keep = [numbers.index(number) for number, _ in group]
        step = 0
        while rows:
            if step == self.combine.horizon:
                readers = readers[:1]
            logps = [await reader.next(keep, [slot.tokens for slot in rows]) for reader in readers]
            drawer.draw(self._combined(logps), rows)
            keep = [at for at, slot in enumerate(rows) if not _ended(slot, ending)]
            rows = [rows[at] for at in keep]
            step += 1

    def _combined(self, logps: Sequence[Tensor]) -> Tensor:
        if len(logps) == 1:
            return logps[0]
        device, sizes = logps[0].device, {values.shape[-1] for values in logps}
        if len(sizes) > 1:
            raise InputError(
                f"the models' heads have {sorted(sizes)} outputs; give models of one vocabulary."
            )
        return self.combine([values.to(device) for values in logps])

    async def _score_all(self, asked: Sequence[list[Tree]]) -> list[list[list[float]]]:
        size = int(self.base.source.config.get_text_config().vocab_size)
        found: list[list[list[float]]] = []
        part: list[list[Tree]] = []
        held = 0
        for trees in asked:
            need = size * sum(map(len, trees[0].branches))
            if part and held + need > HELD:
                found += await self._score(part)
                part, held = [], 0
            part.append(trees)
            held += need
        return found + await self._score(part)

    async def _score(self, asked: Sequence[list[Tree]]) -> list[list[list[float]]]:
        horizon = self.combine.horizon
        read = await asyncio.gather(
            *(
                model.on_module(
                    partial(_distributions, trees=[_cut(trees[k], horizon if k else None) for trees in asked])
                )
                for k, model in enumerate(self.models)
            )
        )
        return [
            [
                self._likelihood([models[t][b] for models in read], branch)
                for b, branch in enumerate(trees[0].branches)
            ]
            for t, trees in enumerate(asked)
        ]

    def _likelihood(self, logps: Sequence[Tensor], tokens: Sequence[int]) -> list[float]:
        """The combined log-probability of each token of a branch; ``logps`` are [T, V], the helpers' maybe shorter."""
        first = len(logps[-1])
        whole = torch.cat([self._combined([values[:first] for values in logps]), logps[0][first:]])
        at = torch.tensor(tokens, dtype=torch.long, device=whole.device)
        values: list[float] = whole.gather(-1, at[:, None])[:, 0].tolist()
        return values


class _Rows:
    """One model's rows under way."""

    def __init__(self, model: LocalTarget, prompts: Sequence[Sequence[int]]) -> None:
        self._model, self._prompts = model, prompts
        self._reader: CachedReader | None = None

    async def next(self, keep: Sequence[int], generated: Sequence[Sequence[int]]) -> Tensor:
        """Log-probabilities [S, V] of the next token; ``keep`` says which of the rows before are the rows now."""
        return await self._model.on_module(partial(self._next, keep=keep, generated=generated))

    def _next(self, module: Any, keep: Sequence[int], generated: Sequence[Sequence[int]]) -> Tensor:
        with torch.no_grad():
            if self._reader is None:
                self._reader = CachedReader(module)
                logits = self._reader.read(self._prompts)[torch.tensor(keep)]
                self._reader.select(keep)
            else:
                if len(keep) < self._reader.rows:
                    self._reader.select(keep)
                logits = self._reader.step(generated)
            return torch.log_softmax(logits.float(), dim=-1)


def _ended(slot: Slot, ending: Ending) -> bool:
    finish = ending.of(slot)
    if finish is not None:
        slot.end(finish)
    return finish is not None


def _cut(tree: Tree, tokens: int | None) -> Tree:
    return tree if tokens is None else replace(tree, branches=tuple(b[:tokens] for b in tree.branches))


def _distributions(module: Any, trees: Sequence[Tree]) -> list[list[Tensor]]:
    """The next-token log-probabilities [T, V] at each token of each branch."""
    with torch.no_grad():
        found = score_trees(module, trees, readers=(_whole,))
    return [[values[0] for values in branches] for branches in found]


def _whole(logits: Tensor, targets: Tensor) -> Tensor:
    return torch.log_softmax(logits, dim=-1)
