"""What every objective keeps: its gradient, any split of a step, either path, adapters, resuming."""

import importlib
import pkgutil
from dataclasses import replace

import pytest
import torch
from every_objective import CASES, ONE_STEP

from trueline.core.errors import UnfinishedError
from trueline.training import objectives
from trueline.training.adapters import with_adapters
from trueline.training.config import LoraConfig

FEW_STEPS = replace(ONE_STEP, learning_rate=3e-3, steps=6, batch_size=3, checkpoint_every=2)


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


class Killed(BaseException):
    """Stands for the process's death."""


def gradients_of(run, model):
    """Each parameter's gradient after the last accumulation of the only step that ``run`` does."""
    kept = {}
    for name, parameter in model.named_parameters():
        parameter.register_post_accumulate_grad_hook(
            lambda p, name=name: kept.__setitem__(name, p.grad.detach().clone())
        )
    run()
    return kept


def lines(run):
    return [{name: value for name, value in line.items() if name != "seconds"} for line in run.history]


def test_every_offline_objective_is_tested():
    found = set()
    for module in pkgutil.iter_modules(objectives.__path__):
        for thing in vars(importlib.import_module(f"{objectives.__name__}.{module.name}")).values():
            named = isinstance(thing, type) and isinstance(getattr(thing, "name", None), str)
            if named and getattr(thing, "batch", "groups") != "groups":
                found.add(thing.name)
    assert found >= {"sft", "dpo"} and found == {case.objective.name for case in CASES.values()}


def test_loss_and_gradient_are_the_naive_ones(case):
    model, plain = case.model(torch.float64, seed=1), case.model(torch.float64, seed=1)
    data = case.data(torch.float64)
    loss = case.naive_loss(plain, data)
    loss.backward()
    once = replace(ONE_STEP, steps=1, max_grad_norm=1e9, token_budget=60)
    runs = []
    gradients = gradients_of(lambda: runs.append(case.run(model, data, once)), model)
    assert runs[0].history[0]["loss"] == pytest.approx(float(loss.detach()), abs=1e-6)
    assert float(loss.detach()) != 0
    for name, parameter in plain.named_parameters():
        if parameter.grad is None:  # what the loss does not reach must not be reached here either
            assert name not in gradients
            continue
        # Llama normalises in fp32 even in an fp64 model, hence 1e-5 and not less
        assert torch.allclose(gradients[name], parameter.grad, rtol=1e-5, atol=1e-6), name


def test_the_split_of_a_step_does_not_change_the_trajectory(case):
    # a step of 8 in one pass, in passes of about two, and one example at a time
    ends, histories = [], []
    for budget in (10_000, 60, 1):
        model = case.model(torch.float64, seed=1)
        run = case.run(model, case.data(torch.float64), replace(ONE_STEP, token_budget=budget))
        ends.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
        histories.append(torch.tensor([list(line.values()) for line in lines(run)]))
    for end, history in zip(ends[1:], histories[1:]):
        assert torch.allclose(end, ends[0], atol=1e-5, rtol=0)
        assert torch.allclose(history, histories[0], atol=1e-5, rtol=1e-6)


def test_packed_and_unpacked_rows_agree(case):
    # losses and gradients rather than weights: Adam turns a gradient of rounding errors into a full step
    found = []
    for path in ("tree", "flat"):
        run = case.run(case.model(torch.float64, seed=1), case.data(torch.float64), path=path)
        found.append(torch.tensor([(line["loss"], line["grad_norm"]) for line in run.history]))
    assert torch.allclose(found[0], found[1], atol=1e-5, rtol=1e-6)


def test_it_learns_through_adapters_alone(case):
    model = with_adapters(case.model(), LoraConfig(rank=2), seed=0)
    frozen = {n: p.detach().clone() for n, p in model.named_parameters() if not p.requires_grad}
    run = case.run(model, case.data(), replace(ONE_STEP, steps=8))
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    assert frozen and all(torch.equal(dict(model.named_parameters())[n], p) for n, p in frozen.items())


def test_a_killed_run_goes_on_bit_for_bit(case, tmp_path):
    def die(done, total, words):
        if done == 5:
            raise Killed

    data, whole = case.data(n=10), case.model(seed=1)
    expected = case.run(whole, data, FEW_STEPS)
    with pytest.raises(Killed):
        case.run(case.model(seed=1), data, FEW_STEPS, checkpoint_folder=tmp_path, progress=die)
    resumed = case.model(seed=1)
    assert lines(case.run(resumed, data, FEW_STEPS, checkpoint_folder=tmp_path)) == lines(expected)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters()))


def test_a_loss_that_is_not_a_number_stops_at_the_last_good_checkpoint(case, tmp_path):
    model = case.model(seed=1)

    def spoil(done, total, words):
        if done == 2:
            with torch.no_grad():
                next(model.parameters())[:] = float("nan")

    with pytest.raises(UnfinishedError, match=r"of step 2 is not finite .*step-00000002"):
        case.run(model, case.data(n=10), FEW_STEPS, checkpoint_folder=tmp_path, progress=spoil)
