"""The loop: what is learnt, how a step may be split, and what is refused."""

import math

import pytest
import torch
from training_models import examples, llama, naive_logps, value_llama

from trueline.core.errors import InputError, UnfinishedError
from trueline.training.batches import SeededBatches
from trueline.training.config import TrainingConfig
from trueline.training.loop import train
from trueline.training.objectives.dpo import DPOObjective
from trueline.training.objectives.reward import RewardObjective
from trueline.training.objectives.sft import SFTObjective
from trueline.training.reference import add_reference

FAST = TrainingConfig(learning_rate=1e-2, warmup=0.0, batch_size=8, steps=3)


def weights(model):
    return torch.cat([p.detach().double().flatten() for p in model.parameters()])


def pairs(model, n=8):
    return add_reference(model, examples(n, 2), weights="tiny", config=FAST).examples


def batches(kind, data, config=FAST, **more):
    return SeededBatches(kind=kind, examples=data, batch_size=config.batch_size, limit=config.steps, **more)


@pytest.mark.parametrize("kind", ["sft", "dpo", "reward"])
def test_accumulation_does_not_change_the_trajectory(kind):
    # a step of 8 in one pass, in passes of about two, and one example at a time
    ends, losses = [], []
    for budget in (10_000, 60, 1):
        model = value_llama(torch.float64) if kind == "reward" else llama(torch.float64)
        objective = {"sft": SFTObjective(), "dpo": DPOObjective(beta=0.5), "reward": RewardObjective()}[kind]
        data = pairs(model) if kind == "dpo" else examples(8, 1 if kind == "sft" else 2)
        config = TrainingConfig(learning_rate=1e-2, warmup=0.0, batch_size=8, steps=3, token_budget=budget)
        run = train(model, batches(objective.batch, data), objective, config)
        ends.append(weights(model))
        losses.append(torch.tensor([line["loss"] for line in run.history], dtype=torch.float64))
    for end, loss in zip(ends[1:], losses[1:]):
        assert torch.allclose(end, ends[0], atol=1e-6, rtol=0)
        assert torch.allclose(loss, losses[0], atol=1e-6, rtol=0)


def test_a_dpo_gradient_equals_a_naive_one():
    model, plain = llama(torch.float64), llama(torch.float64)
    data = pairs(model)
    reference = llama(torch.float64)
    with torch.no_grad():
        fixed = [[b.sum() for b in naive_logps(reference, e.tree)] for e in data]
    for weight in plain.parameters():  # the policy must differ from its reference, or β(Δ⁺ − Δ⁻) is 0
        weight.data.add_(0.01)
    model.load_state_dict(plain.state_dict())
    loss = 0.0
    for example, old in zip(data, fixed):
        new = [b.sum() for b in naive_logps(plain, example.tree)]
        loss = loss - torch.nn.functional.logsigmoid(0.3 * ((new[0] - old[0]) - (new[1] - old[1]))) / len(
            data
        )
    loss.backward()
    norm = math.sqrt(sum(float(p.grad.square().sum()) for p in plain.parameters()))
    run = train(model, batches("pairs", data), DPOObjective(beta=0.3), FAST)
    assert run.history[0]["loss"] == pytest.approx(float(loss.detach()), abs=1e-9)
    # Llama normalises in fp32 even in an fp64 model, hence 1e-6 and not less
    assert run.history[0]["grad_norm"] == pytest.approx(norm, rel=1e-6)


def test_dpo_learns_its_pairs_and_sft_its_answers():
    config = TrainingConfig(learning_rate=1e-2, warmup=0.0, batch_size=8, steps=12)
    model = llama()
    run = train(model, batches("pairs", pairs(model), config), DPOObjective(), config)
    assert run.history[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert run.history[-1]["loss"] < 0.2 and run.history[-1]["accuracy"] == 1.0
    other = llama()
    run = train(other, batches("sequences", examples(8, 1), config), SFTObjective(), config)
    assert run.history[-1]["loss"] < 0.5 * run.history[0]["loss"]
    assert run.costs["tokens"] == 12 * sum(e.tokens for e in examples(8, 1))
    assert run.costs["flops"] > 0 and not other.training


def test_the_loss_of_a_pass_is_the_naive_token_mean():
    model, data = llama(torch.float64), examples(8, 1)
    with torch.no_grad():
        logps = torch.cat([b for e in data for b in naive_logps(model, e.tree)])
    run = train(model, batches("sequences", data), SFTObjective(), FAST)
    assert run.history[0]["loss"] == pytest.approx(-float(logps.mean()), abs=1e-9)


def test_margins_enter_the_reward_loss():
    from dataclasses import replace

    data = [replace(e, facts={"margin": (3.0,)}) for e in examples(8, 2)]
    with_margin = train(value_llama(), batches("pairs", data), RewardObjective(), FAST).history[0]["loss"]
    without = train(value_llama(), batches("pairs", examples(8, 2)), RewardObjective(), FAST).history[0][
        "loss"
    ]
    assert with_margin > without


def test_half_precision_weights_are_trained_in_fp32_and_autocast_runs():
    model = llama(torch.bfloat16)
    config = TrainingConfig(learning_rate=1e-3, batch_size=8, steps=2, precision="bf16")
    run = train(model, batches("sequences", examples(8, 1), config), SFTObjective(), config)
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert all(math.isfinite(line["loss"]) for line in run.history)


def test_the_wrong_kind_of_batch_is_refused():
    with pytest.raises(InputError, match="dpo learns from pairs, but the data are sequences"):
        train(llama(), batches("sequences", examples(8, 1)), DPOObjective(), FAST)


def test_pairs_without_reference_are_refused():
    with pytest.raises(InputError, match="carries no reference"):
        train(llama(), batches("pairs", examples(8, 2)), DPOObjective(), FAST)


def test_a_loss_that_is_not_a_number_stops_and_names_the_examples(tmp_path):
    model = llama()
    data = examples(8, 1)
    spoiled = data[5].tree.branches[0][-2]

    def spoil(done, total, words):
        if done == 2:
            with torch.no_grad():
                model.lm_head.weight[spoiled] = float("nan")

    config = TrainingConfig(learning_rate=1e-3, batch_size=8, steps=5, checkpoint_every=1, token_budget=1)
    with pytest.raises(UnfinishedError, match=r"loss of step 2 is not finite .* examples .*step-00000002"):
        train(
            model, batches("sequences", data, config), SFTObjective(), config,
            checkpoint_folder=tmp_path, progress=spoil,
        )  # fmt: skip


def test_a_model_with_nothing_to_train_is_refused():
    model = llama().requires_grad_(False)
    with pytest.raises(InputError, match="nothing to train"):
        train(model, batches("sequences", examples(8, 1)), SFTObjective(), FAST)


def test_training_leaves_the_callers_random_stream_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    model = llama()
    torch.manual_seed(3)
    train(model, batches("sequences", examples(8, 1)), SFTObjective(), FAST)
    assert torch.rand(1) == expected


@pytest.mark.parametrize("path", ["tree", "flat"])
def test_autocast_is_near_fp32_on_either_path(path):
    losses = []
    for precision in ("fp32", "bf16"):
        config = TrainingConfig(learning_rate=1e-3, warmup=0.0, batch_size=8, steps=3, precision=precision)
        model = llama()
        data = add_reference(model, examples(8, 2), weights="tiny", config=config, path=path).examples
        run = train(model, batches("pairs", data, config), DPOObjective(), config, path=path)
        losses.append([line["loss"] for line in run.history])
    assert losses[1] == pytest.approx(losses[0], abs=0.05)
    assert losses[0][-1] < losses[0][0]


def test_tree_and_flat_give_the_same_trajectory():
    # losses and gradients rather than weights: Adam turns a gradient of rounding errors into a full step
    lines = []
    for path in ("tree", "flat"):
        model = llama(torch.float64)
        run = train(model, batches("pairs", pairs(model)), DPOObjective(), FAST, path=path)
        lines.append([(line["loss"], line["grad_norm"]) for line in run.history])
    assert torch.allclose(torch.tensor(lines[0]), torch.tensor(lines[1]), atol=1e-6, rtol=0)
