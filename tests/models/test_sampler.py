"""The sampler draws what the model says, from each request's own noise, whatever else is in the batch."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from branch_models import MODELS, VOCABULARY, make
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.core.messages import Sampling, chat
from trueline.models.sampling.choosing import Rule, choose
from trueline.models.sampling.jobs import Draw, Job, Limits
from trueline.models.sampling.noise import Stream, exponential, stream_key
from trueline.models.sampling.sampler import Sampler


def job(prompt: Sequence[int], *, limit: int = 8, stream: int = 1, **sampling: Any) -> Job:
    return Job(
        prompt=tuple(prompt),
        sampling=Sampling(max_tokens=limit, **sampling),
        stream=(stream, 7),
        limit=limit,
    )


def sampler(model: Any, *, ends: frozenset[int] = frozenset(), **options: Any) -> Sampler:
    return Sampler(
        model, end_tokens=ends, decode=lambda tokens: "".join(chr(32 + t) for t in tokens), **options
    )


def some_jobs(**sampling: Any) -> list[Job]:
    lengths = (3, 9, 5, 9, 14, 1, 6)
    rng = np.random.default_rng(0)
    return [
        job(rng.integers(3, VOCABULARY, size=n).tolist(), limit=4 + 2 * at, stream=at, **sampling)
        for at, n in enumerate(lengths)
    ]


LLAMA = make("llama").double()
MIXED = some_jobs(samples=3, temperature=1.3)
MIXED[2] = replace(MIXED[2], sampling=replace(MIXED[2].sampling, temperature=0.0))
MIXED[4] = replace(MIXED[4], sampling=replace(MIXED[4].sampling, top_p=0.7))


def naive_greedy(model: Any, prompt: Sequence[int], count: int) -> tuple[list[int], list[float]]:
    """Greedy tokens and log-probabilities by whole forward passes, without any cache."""
    tokens, logprobs = list(prompt), []
    for _ in range(count):
        logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1].float()
        tokens.append(int(logits.argmax()))
        logprobs.append(float(torch.log_softmax(logits, -1)[tokens[-1]]))
    return tokens[len(prompt) :], logprobs


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_greedy_equals_whole_forward_passes_on_every_family(name: str) -> None:
    model = make(name).double()
    jobs = some_jobs(samples=2)
    ours = sampler(model, limits=Limits(slots=5, prefill_tokens=16)).draw(jobs)
    for one, draws in zip(jobs, ours):
        tokens, logprobs = naive_greedy(model, one.prompt, one.limit)
        for draw in draws:
            assert list(draw.tokens) == tokens
            assert draw.logprobs == pytest.approx(logprobs, abs=1e-4)
            assert draw.finish == "length"


def test_the_path_taken_is_visible_with_its_reason() -> None:
    shared = sampler(make("llama"))
    assert shared.path_of(job([3, 4]))[0] == "shared"
    assert "probe" in shared.path_of(job([3, 4]))[1]
    recurrent = sampler(make("mamba"))
    assert recurrent.path_of(job([3, 4]))[0] == "plain"
    window = sampler(make("mistral-window"))
    assert window.path_of(job([3] * 8, limit=8))[0] == "shared"
    path, reason = window.path_of(job([3] * 8, limit=9))
    assert path == "plain" and "17 tokens outgrow the sliding window of 16" in reason


def texts(found: Sequence[tuple[Draw, ...]]) -> list[list[tuple[int, ...]]]:
    return [[draw.tokens for draw in draws] for draws in found]


def test_both_paths_draw_the_same_samples() -> None:
    model, jobs = make("qwen3").double(), some_jobs(samples=3, temperature=1.0)
    ours, plain = sampler(model).draw(jobs), sampler(model, path="plain").draw(jobs)
    assert texts(ours) == texts(plain)
    for a, b in zip(ours, plain):
        assert [d.logprobs for d in a] == [pytest.approx(d.logprobs, abs=1e-5) for d in b]


@settings(max_examples=8, deadline=None)
@given(
    slots=st.integers(1, 12),
    prefill=st.integers(1, 40),
    room=st.sampled_from([1, 20_000, 2**30]),
    order=st.permutations(range(7)),
    ends=st.sampled_from(
        [frozenset[int](), frozenset(range(0, VOCABULARY, 9)), frozenset(range(0, VOCABULARY, 3))]
    ),
)
def test_the_same_request_gives_the_same_text_whatever_else_is_in_the_batch(
    slots: int, prefill: int, room: int, order: list[int], ends: frozenset[int]
) -> None:
    limits = Limits(slots=slots, prefill_tokens=prefill, cache_bytes=room)
    together = sampler(LLAMA, ends=ends, limits=limits).draw([MIXED[n] for n in order])
    for n, draws in zip(order, together):
        alone = drawn_alone(n, ends)
        assert texts([draws]) == texts([alone])
        assert [d.finish for d in draws] == [d.finish for d in alone]


@cache
def drawn_alone(number: int, ends: frozenset[int]) -> tuple[Draw, ...]:
    return sampler(LLAMA, ends=ends).draw([MIXED[number]])[0]


def test_a_sample_ends_at_an_end_token_which_it_keeps() -> None:
    (free,) = sampler(LLAMA).draw([job([5, 6], limit=12, temperature=1.0)])
    end = free[0].tokens[4]
    (ended,) = sampler(LLAMA, ends=frozenset({end})).draw([job([5, 6], limit=12, temperature=1.0)])
    place = free[0].tokens.index(end)
    assert ended[0].tokens == free[0].tokens[: place + 1]
    assert ended[0].finish == "stop"


def test_a_sample_ends_at_a_stop_string_that_spans_tokens() -> None:
    (free,) = sampler(LLAMA).draw([job([5, 6], limit=12, temperature=1.0)])
    text = "".join(chr(32 + t) for t in free[0].tokens)
    stop = text[5:8]
    (ended,) = sampler(LLAMA).draw([job([5, 6], limit=12, temperature=1.0, stop=("never so", stop))])
    assert ended[0].tokens == free[0].tokens[: text.index(stop) + 3]
    assert ended[0].finish == "stop"


def test_a_prompt_is_read_once_for_all_its_samples() -> None:
    one = sampler(LLAMA, limits=Limits(slots=4))
    one.draw([job([5, 6, 7], samples=10, temperature=1.0)])
    assert one.counts.prompt_tokens == 3
    assert one.counts.generated_tokens == 10 * 8


def test_finished_places_are_given_to_waiting_samples() -> None:
    one = sampler(LLAMA, limits=Limits(slots=4))
    one.draw([job([5, 6], limit=40, stream=9), *(job([5, 6], limit=4, stream=n) for n in range(30))])
    # 30 short samples fit beside the long one: 3 places, 3 steps after the first token each.
    assert one.counts.row_steps <= 4 * 45


def test_results_are_delivered_as_they_come_and_abandoned_jobs_are_dropped() -> None:
    order: list[int] = []
    jobs = [job([5], limit=30, stream=1), job([6], limit=2, stream=2), job([7], limit=500, stream=3)]
    jobs[2] = replace(jobs[2], abandoned=lambda: bool(order))
    waiting = list(jobs)
    one = sampler(LLAMA)
    one.run(lambda n: [waiting.pop() for _ in range(len(waiting))], lambda j, d: order.append(j.limit))
    assert order == [2, 30]
    assert one.counts.generated_tokens < 60


def test_behaviour_logprobs_are_at_temperature_one_without_truncation() -> None:
    one = job([5, 6, 7], limit=6, temperature=0.5, top_p=0.6)
    ((draw,),) = sampler(LLAMA).draw([one])
    whole = torch.tensor([[*one.prompt, *draw.tokens]])
    with torch.no_grad():
        logps = torch.log_softmax(LLAMA(input_ids=whole).logits[0].float(), -1)
    expected = [float(logps[2 + at, token]) for at, token in enumerate(draw.tokens)]
    assert draw.logprobs == pytest.approx(expected, abs=1e-5)


def test_draws_follow_the_models_distribution() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0, 0.5])
    count = 4000
    noise = torch.stack([noise_of((1, 2), sample, 1, 5)[0] for sample in range(count)])
    rule = Rule.of([2.0] * count, [1.0] * count, torch.device("cpu"))
    tokens, _ = choose(logits.expand(count, -1), rule, noise)
    shares = torch.bincount(tokens, minlength=5) / count
    expected = torch.softmax(logits / 2, -1)
    sd = (expected * (1 - expected) / count).sqrt()
    assert bool(((shares - expected).abs() < 4 * sd).all())


def noise_of(key: tuple[int, int], sample: int, steps: int, size: int) -> torch.Tensor:
    """The noise [steps, size] of a sample's first tokens."""
    stream, words = Stream(key, sample), np.empty((steps, size), dtype=np.int32)
    for row in words:
        stream.fill(row)
    return exponential(torch.from_numpy(words), torch.empty(steps, size))


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    # Probabilities .5, .3, .15, .05: .79 needs two tokens, .81 three; a tiny value keeps the likeliest alone.
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    count = 600
    noise = torch.from_numpy(np.random.default_rng(1).standard_exponential((count, 4), dtype=np.float32))
    for top_p, kept in ((0.79, 2), (0.81, 3), (1e-9, 1)):
        rule = Rule.of([1.0] * count, [top_p] * count, torch.device("cpu"))
        tokens, _ = choose(logits.expand(count, -1), rule, noise)
        assert set(tokens.tolist()) == set(range(kept))


def test_noise_depends_on_seed_prompt_sample_and_step_alone() -> None:
    def noise(seed: int = 0, prompt: str = "a", sample: int = 0, size: int = 9) -> list[list[float]]:
        found: list[list[float]] = noise_of(stream_key(seed, chat(prompt)), sample, 2, size).tolist()
        return found

    first, second = noise()
    assert noise() == [first, second]
    assert [row[:9] for row in noise(size=12)] == [first, second]  # as long as the same blocks are used up
    others = [second, *noise(seed=1), *noise(prompt="b"), *noise(sample=1)]
    assert all(set(first).isdisjoint(other) for other in others)
    assert stream_key(0, "a") != stream_key(0, chat("a"))


def test_noise_is_exponential_and_never_zero_or_infinite() -> None:
    noise = noise_of((3, 4), 0, 1, 200_000)[0]
    assert float(noise.min()) > 0 and bool(noise.isfinite().all())
    assert float(noise.mean()) == pytest.approx(1, abs=4 / len(noise) ** 0.5)
    assert float((noise > 2).float().mean()) == pytest.approx(np.exp(-2), abs=0.004)


def test_memory_that_was_never_written_is_never_read() -> None:
    jobs = some_jobs(samples=3, temperature=1.0)
    limits = Limits(slots=4, prefill_tokens=8)
    expected = sampler(LLAMA, ends=frozenset(range(20)), limits=limits).draw(jobs)
    torch.use_deterministic_algorithms(True)  # which also fills new memory with what is not a number
    try:
        assert bool(torch.zeros(1).new_empty(4).isnan().all())
        assert sampler(LLAMA, ends=frozenset(range(20)), limits=limits).draw(jobs) == expected
    finally:
        torch.use_deterministic_algorithms(False)
