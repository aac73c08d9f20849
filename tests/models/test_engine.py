"""Ordinary async code is batched; errors and cancellations stay with those they concern."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from local_models import Shift, byte_tokenizer, tiny_llama

from trueline.core.messages import Sampling
from trueline.models import engine as engine_module
from trueline.models.engine import Engine
from trueline.models.local import LocalTarget
from trueline.models.sampling.jobs import Limits

SETTINGS = Sampling(max_tokens=6, temperature=1.0)


def target(engine: Engine | None = None, *, seed: int = 0) -> LocalTarget:
    """A target whose answers never end by themselves."""
    model, tokenizer = tiny_llama(seed=seed, eos_token_id=None), byte_tokenizer(eos=False)
    return LocalTarget.from_module(model, tokenizer, name="tiny", engine=engine or Engine())


def test_requests_made_together_run_in_one_batch() -> None:
    one = target()

    async def many() -> None:
        await asyncio.gather(*(one.generate(f"prompt {n}", SETTINGS) for n in range(20)))

    asyncio.run(many())
    assert one.engine.usage.batches == 1
    assert one.engine.usage.generated_tokens == 20 * 6


def test_requests_that_arrive_some_turns_later_still_share_the_batch() -> None:
    one = target()

    async def late(turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await one.generate("x", SETTINGS)

    async def many() -> None:
        await asyncio.gather(*(late(turns) for turns in range(8)))

    asyncio.run(many())
    assert one.engine.usage.batches == 1


def test_a_request_joins_the_batch_that_runs() -> None:
    one = target(Engine(limits=Limits(slots=8)))

    async def joined() -> None:
        long = asyncio.create_task(one.generate("x", Sampling(max_tokens=200, temperature=1.0)))
        while one.engine.usage.batches == 0 and not any(lane.busy for lane in one.engine._lanes.values()):
            await asyncio.sleep(0.001)
        await one.generate("y", Sampling(max_tokens=3))
        assert not long.done()
        await long

    asyncio.run(joined())
    assert one.engine.usage.batches == 1


def test_answers_come_as_they_are_ready() -> None:
    one, order = target(), []

    async def ask(tokens: int) -> None:
        await one.generate("x", Sampling(max_tokens=tokens, temperature=1.0, seed=tokens))
        order.append(tokens)

    async def many() -> None:
        await asyncio.gather(*(ask(n) for n in (200, 2, 80)))

    asyncio.run(many())
    assert order == [2, 80, 200]


def test_kinds_and_interventions_do_not_share_a_batch() -> None:
    one = target()
    steered = one.with_intervention(Shift(1.0))

    async def many() -> None:
        await asyncio.gather(
            *(t.generate(f"p{n}", SETTINGS) for n in range(3) for t in (one, steered)),
            *(t.score(f"p{n}", ["a"]) for n in range(3) for t in (one, steered)),
            *(
                t.generate(f"q{n}", Sampling(samples=3, max_tokens=2))
                for n in range(3)
                for t in (one, steered)
            ),
        )

    asyncio.run(many())
    assert one.engine.usage.batches == 6


def test_two_event_loops_one_after_another_and_at_once() -> None:
    one = target()
    first = asyncio.run(one.generate("x", SETTINGS))
    assert asyncio.run(one.generate("x", SETTINGS)) == first
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(asyncio.run(one.generate("x", SETTINGS))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert [f[0].token_ids for f in found] == [first[0].token_ids] * 3


def test_one_thread_works_on_a_module() -> None:
    one = target()
    threads: list[int] = []
    inside = 0

    def watch(model: Any) -> int:
        nonlocal inside
        inside += 1
        threads.append(threading.get_ident())
        assert inside == 1
        inside -= 1
        return inside

    async def many() -> None:
        await asyncio.gather(*(one.on_module(watch) for _ in range(10)))

    asyncio.run(many())
    assert len(set(threads)) == 1 and threading.get_ident() not in threads


class Failing:
    """An intervention that cannot be entered."""

    key = "failing"

    @contextmanager
    def entered(self, module: Any) -> Iterator[None]:
        raise ArithmeticError("no such layer")
        yield


def test_an_error_goes_to_its_batch_only() -> None:
    one = target()
    broken = one.with_intervention(Failing())

    async def many() -> list[Any]:
        return await asyncio.gather(
            *(t.generate(f"p{n}", SETTINGS) for n in range(3) for t in (one, broken)), return_exceptions=True
        )

    for number, result in enumerate(asyncio.run(many())):
        assert isinstance(result, ArithmeticError) == bool(number % 2)
    assert asyncio.run(one.generate("x", SETTINGS))


def test_a_failing_function_fails_alone() -> None:
    one = target()

    def bad(model: Any) -> None:
        raise KeyError("layer")

    async def many() -> list[Any]:
        calls = (one.on_module(bad), one.on_module(lambda model: 5), one.generate("x", SETTINGS))
        return await asyncio.gather(*calls, return_exceptions=True)

    failed, fine, answered = asyncio.run(many())
    assert isinstance(failed, KeyError) and fine == 5 and answered[0].tokens == 6


def test_cancelling_one_request_leaves_the_others() -> None:
    one = target()

    async def many() -> Any:
        long = asyncio.create_task(one.generate("x", Sampling(max_tokens=240, temperature=1.0)))
        other = asyncio.create_task(one.generate("y", Sampling(max_tokens=30, temperature=1.0)))
        await asyncio.sleep(0.02)
        long.cancel()
        with pytest.raises(asyncio.CancelledError):
            await long
        return await other

    (completion,) = asyncio.run(many())
    assert completion.tokens == 30
    # A new request finds the worker free: the abandoned one was dropped, not run to its end.
    assert asyncio.run(one.generate("z", SETTINGS))
    assert one.engine.usage.generated_tokens < 30 + 240 + 6


def test_a_time_out_that_ends_the_loop_leaves_the_engine_usable() -> None:
    one = target()

    async def impatient() -> None:
        await asyncio.wait_for(one.generate("x", Sampling(max_tokens=250, samples=60, temperature=1.0)), 0.01)

    with pytest.raises(TimeoutError):
        asyncio.run(impatient())
    assert asyncio.run(one.generate("x", SETTINGS))[0].tokens == 6


def test_usage_counts_prompts_once_and_flops_by_the_stated_formula() -> None:
    one = target()
    asyncio.run(one.generate("abc", Sampling(max_tokens=5, samples=4, temperature=1.0)))
    used = one.engine.usage
    parameters = sum(p.numel() for p in tiny_llama().parameters())
    assert used.prompt_tokens == 4  # with the beginning token
    assert used.generated_tokens == 20
    # The first token of each sample comes from the prompt's own pass, so four steps of four rows follow.
    assert used.flops == 2 * parameters * (4 + 16)
    assert used.seconds > 0
    before = used
    asyncio.run(one.score("abc", ["d", "efg"]))
    spent = one.engine.usage - before
    # Four tokens of prompt and two of "efg": nothing is predicted from a branch's last token.
    assert spent.scored_tokens == 6 and spent.generated_tokens == 0
    assert one.engine.usage_by_model == {one.source.key: one.engine.usage}


def test_the_module_is_left_as_it_was() -> None:
    model = tiny_llama().train()
    one = LocalTarget.from_module(model, byte_tokenizer(), name="tiny", engine=Engine())
    asyncio.run(one.generate("x", SETTINGS))
    assert all(module.training for module in model.modules())
    assert model.config._attn_implementation == "sdpa"


def test_a_full_batch_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "FULL", 4)
    monkeypatch.setattr(engine_module, "QUIET_TURNS", 10**9)
    one = target()

    async def many() -> None:
        await asyncio.gather(*(one.generate(f"p{n}", SETTINGS) for n in range(4)))

    asyncio.run(many())
    assert one.engine.usage.generated_tokens == 24
