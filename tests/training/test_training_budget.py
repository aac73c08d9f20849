"""A compute budget: what it pays for, the schedule under it, and a killed run under it."""

import pytest
import torch
from training_models import examples, llama

from trueline.core.errors import InputError
from trueline.training.batches import SeededBatches
from trueline.training.budget import ComputeBudget
from trueline.training.config import TrainingConfig
from trueline.training.loop import train
from trueline.training.objectives.sft import SFTObjective


class Killed(BaseException):
    """Stands for the process's death."""


def run(budget, *, spent=None, folder=None, die_after=None, schedule="linear"):
    config = TrainingConfig(
        learning_rate=1e-3, batch_size=4, budget=budget, schedule=schedule, checkpoint_every=2
    )

    def progress(done, total, words):
        if done == die_after:
            raise Killed

    model = llama()
    batches = SeededBatches(kind="sequences", examples=examples(10, 1), batch_size=4)
    done = train(
        model, batches, SFTObjective(), config, spent=spent, checkpoint_folder=folder, progress=progress
    )
    return model, done


@pytest.mark.parametrize("currency", ["flops", "tokens"])
def test_training_goes_round_the_data_until_the_budget_is_spent(currency):
    _, one = run(ComputeBudget(currency="tokens", amount=400))
    price = one.costs[currency] / len(one.history)
    _, done = run(ComputeBudget(currency=currency, amount=12.5 * price))
    assert done.costs[currency] <= 12.5 * price
    assert 10 <= len(done.history) <= 14  # steps differ in length
    assert done.history[-1]["learning_rate"] < 0.2 * max(line["learning_rate"] for line in done.history)


def test_what_was_spent_before_the_first_step_counts():
    budget = ComputeBudget(currency="tokens", amount=1000)
    _, all_of_it = run(budget)
    _, part = run(budget, spent={"tokens": 600.0})
    assert part.costs["tokens"] <= 400 < all_of_it.costs["tokens"] <= 1000
    with pytest.raises(InputError, match="does not pay for a step"):
        run(budget, spent={"tokens": 999.0})


def test_seconds_end_a_run():
    _, done = run(ComputeBudget(currency="seconds", amount=0.5))
    assert done.history and done.costs["seconds"] < 1.5


def test_a_killed_run_under_a_budget_goes_on_bit_for_bit(tmp_path):
    budget = ComputeBudget(
        currency="flops", amount=run(ComputeBudget(currency="tokens", amount=900))[1].costs["flops"]
    )
    whole, history = run(budget)
    with pytest.raises(Killed):
        run(budget, folder=tmp_path, die_after=5)
    resumed, continued = run(budget, folder=tmp_path)
    rates = [line["learning_rate"] for line in history.history]
    assert [line["learning_rate"] for line in continued.history] == rates
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters()))


def test_a_budget_and_steps_together_are_refused():
    with pytest.raises(InputError, match="both"):
        TrainingConfig(steps=3, budget=ComputeBudget(currency="flops", amount=1.0))
    with pytest.raises(InputError, match="not allowed"):
        ComputeBudget(currency="flops", amount=0)
    with pytest.raises(InputError, match="not known"):
        ComputeBudget(currency="euros", amount=1)
