"""Prompts that begin alike: what they share is read once, and nothing else changes."""

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from branch_models import MODELS, VOCABULARY, make, naive
from local_models import Shift, byte_tokenizer, tiny_llama

from trueline.models.branches import score_trees
from trueline.models.engine import Engine
from trueline.models.forward.paths import device_of, known, unwrap
from trueline.models.forward.readers import log_probability, vocabulary_moments
from trueline.models.forward.shared_prefix import A_PASS, Family, families, read_prefix, without
from trueline.models.local import LocalTarget
from trueline.models.trees import Tree

SHARING = (
    "llama",
    "qwen3",
    "qwen3-mixed",
    "mistral-window",
    "gemma2",
    "gemma3",
    "gpt2",
    "gpt-neox",
    "granite",
)
NOT_SHARING = ("mamba", "lfm2", "bloom", "gpt-neo")


def begun_alike(count: int, shared: int, seed: int = 0) -> list[Tree]:
    """Trees of different shapes after the same tokens; one of them has a single branch, one an empty one."""
    draw = random.Random(seed)

    def tokens(n: int) -> tuple[int, ...]:
        return tuple(draw.randrange(3, VOCABULARY) for _ in range(n))

    head = tokens(shared)
    shapes = [(3, 1, 7), (5,), (1, 1, 1, 1), (0, 4), (2, 9)]
    return [
        Tree(
            trunk=(*head, *tokens(draw.randint(1, 20))), branches=tuple(map(tokens, shapes[n % len(shapes)]))
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("name", SHARING)
def test_a_beginning_read_once_gives_the_scores_of_separate_passes(name: str) -> None:
    model, trees, shared = make(name), begun_alike(5, 40), 37
    assert known(model).prefixes
    with torch.no_grad():
        prefix = read_prefix(unwrap(model), trees[0].trunk[:shared], device_of(model))
        rest = [without(tree, shared) for tree in trees]
        found = score_trees(model, rest, prefix=prefix, token_budget=200)
        for branches, expected in zip(found, naive(model, trees), strict=True):
            for mine, theirs in zip(branches, expected, strict=True):
                assert mine.tolist() == pytest.approx(theirs.tolist(), abs=2e-3)


@pytest.mark.parametrize("name", NOT_SHARING)
def test_models_that_cannot_continue_a_beginning_are_known(name: str) -> None:
    assert not known(make(name)).prefixes


def test_every_model_is_on_a_list() -> None:
    assert {*SHARING, *NOT_SHARING} >= {name for name in MODELS if name not in ("opt", "cohere")}


def test_moments_come_out_of_the_same_pass() -> None:
    model, trees = make("llama"), begun_alike(3, 40)
    readers = (log_probability, vocabulary_moments)
    with torch.no_grad():
        prefix = read_prefix(unwrap(model), trees[0].trunk[:40], device_of(model))
        shared = score_trees(model, [without(t, 40) for t in trees], readers=readers, prefix=prefix)
        apart = score_trees(model, trees, readers=readers)
    for mine, theirs in zip(shared, apart, strict=True):
        for (logps, moments), (other, expected) in zip(mine, theirs, strict=True):
            assert logps.tolist() == pytest.approx(other.tolist(), abs=1e-4)
            assert moments.mean.tolist() == pytest.approx(expected.mean.tolist(), abs=1e-4)
            assert moments.variance.tolist() == pytest.approx(expected.variance.tolist(), rel=1e-3, abs=1e-4)


def trunks(*given: tuple[int, ...]) -> list[Tree]:
    return [Tree(trunk=trunk, branches=((1,),)) for trunk in given]


class TestFamilies:
    def test_by_hand(self) -> None:
        # Ten questions after 100 tokens spare 900; two subjects of ten that share 40 of their 140 tokens spare
        # 2·9·140 apart and 19·40 together; what shares nothing stands alone.
        head, a, b = tuple(range(40)), (1,) * 100, (2,) * 100
        made = [(*head, *subject, 7, n) for n in range(10) for subject in (a, b)]
        found = families(trunks(*made, (9, 9, 9)))
        assert found == [
            Family(shared=0, members=(20,)),
            Family(shared=141, members=tuple(range(0, 20, 2))),
            Family(shared=141, members=tuple(range(1, 20, 2))),
        ]

    def test_a_short_beginning_of_all_wins_over_long_ones_of_few(self) -> None:
        # 50 pairs share 60 tokens each, all share 50: 99·50 − A_PASS together, 50·60 less 50 passes apart.
        head = tuple(range(50))
        made = [(*head, *((n,) * 10), m) for n in range(50) for m in (3, 4)]
        assert families(trunks(*made)) == [Family(shared=50, members=tuple(range(100)))]

    def test_too_little_to_spare_is_no_family(self) -> None:
        few = trunks(*((*range(100), n) for n in range(1 + A_PASS // 100)))
        assert families(few) == [Family(shared=0, members=tuple(range(len(few))))]
        assert families([]) == []

    def test_a_token_is_left_to_every_trunk(self) -> None:
        same = trunks(*[tuple(range(300))] * 8)
        assert families(same) == [Family(shared=299, members=tuple(range(8)))]


SHOTS = "Q: is it so? A: yes. " * 8  # 168 bytes


def memory_target() -> LocalTarget:
    model = tiny_llama(max_position_embeddings=512)
    return LocalTarget.from_module(model, byte_tokenizer(), name="tiny", engine=Engine())


def ask(target: Any, questions: list[str]) -> list[list[float]]:
    async def all_of_them() -> Any:
        return await asyncio.gather(
            *(target.score(SHOTS + q, [" yes", " no", " perhaps"]) for q in questions)
        )

    return [[score.logprob for score in scores] for scores in asyncio.run(all_of_them())]


def test_the_engine_reads_a_shared_beginning_once() -> None:
    questions = [f"Q: is {n} odd? A:" for n in range(20)]
    together, apart = memory_target(), memory_target()
    found = ask(together, questions)
    expected = [ask(apart, [question])[0] for question in questions]
    for mine, theirs in zip(found, expected, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)
    spent, separate = together.engine.usage.scored_tokens, apart.engine.usage.scored_tokens
    assert separate > 20 * len(SHOTS)
    assert spent < separate - 18 * len(SHOTS)


def test_a_long_system_prompt_is_shared_and_an_intervention_reaches_it() -> None:
    plain = memory_target()
    steered = plain.with_intervention(Shift(0.5))
    fresh = replace(steered, engine=Engine())
    questions = [f"Q: {n}? A:" for n in range(12)]
    found, plainly = ask(steered, questions), ask(plain, questions)
    for number, question in enumerate(questions):
        assert found[number] == pytest.approx(ask(fresh, [question])[0], abs=1e-4)
        assert found[number] != pytest.approx(plainly[number], abs=1e-2)
