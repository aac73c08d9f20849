"""On frozen rollouts, loss and gradient of on-policy methods equal trl's (the extra ``dev``)."""

import math
import warnings
from dataclasses import replace

import pytest
import torch
from chat_codec import tokenizer
from every_objective import ONE_STEP
from on_policy import CASES
from test_every_objective import gradients_of
from test_rollouts import frozen, on_frozen

from trueline.training.groups import OLD

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]


def padded(rows, value, left=False):
    width = max(map(len, rows))
    return torch.stack(
        [
            torch.cat([row.new_full((width - len(row),), value), row] if left else
                      [row, row.new_full((width - len(row),), value)])
            for row in rows
        ]
    )  # fmt: skip


def their_inputs(examples):
    """A rollout as trl's trainers keep it: a padded row an answer."""
    branches = [(e, k) for e in examples for k in range(len(e.tree.branches))]
    prompts = [torch.tensor(e.tree.trunk) for e, _ in branches]
    answers = [torch.tensor(e.tree.branches[k]) for e, k in branches]
    old = [e.given[OLD][k] for e, k in branches]
    return {
        "prompt_ids": padded(prompts, 0, left=True),
        "prompt_mask": padded([torch.ones_like(p) for p in prompts], 0, left=True),
        "completion_ids": padded(answers, 0),
        "completion_mask": padded([torch.ones_like(a) for a in answers], 0),
        "advantages": torch.tensor([e.facts["advantages"][k] for e, k in branches]),
        "old_logps": torch.stack([row.sum() for row in old]),
        "ref_per_token_logps": padded([e.reference[k] for e, k in branches], 0.0),
        "old_per_token_logps": padded(old, 0.0),
        "num_items_in_batch": torch.tensor(sum(map(len, answers))),
    }


def theirs(kind, model, examples, folder, beta=0.0, **settings):
    """Loss and gradients by trl's own loss function."""
    trl = pytest.importorskip("trl", reason="needs the extra dev: pip install 'trueline[dev]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from datasets import Dataset

        arguments = getattr(trl, f"{kind}Config")(
            output_dir=str(folder), per_device_train_batch_size=12, num_generations=3, use_cpu=True,
            bf16=False, report_to="none", max_completion_length=6, disable_tqdm=True, beta=0.0, **settings,
        )  # fmt: skip
        trainer = getattr(trl, f"{kind}Trainer")(
            model=model, args=arguments, processing_class=tokenizer(),
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            train_dataset=Dataset.from_list([{"prompt": "w1"}] * 12),
        )  # fmt: skip
        trainer.beta = beta  # set late: a reference model is not needed, its log-probabilities are frozen too
        trainer.current_gradient_accumulation_steps = 1
        model.eval()  # no dropout; the loss itself is that of training
        loss = trainer._compute_loss(model, their_inputs(examples))
        loss.backward()
    return float(loss.detach()), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def nearby(case):
    """The model, its weights a little away from those that drew, so that ratios differ from 1."""
    model = case.model(torch.float32)
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    return model


@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [
        ("rloo", "RLOO", {}),
        ("grpo", "GRPO", {"loss_type": "grpo"}),
        ("grpo, token", "GRPO", {"loss_type": "bnpo"}),
        ("dr_grpo", "GRPO", {"loss_type": "dr_grpo"}),
        ("grpo, k3", "GRPO", {"loss_type": "grpo", "beta": 0.1, "use_bias_correction_kl": False}),
    ],
)
def test_loss_and_gradient_are_trls(tmp_path, name, kind, settings):
    case = CASES[name]
    examples = frozen(case, torch.float32)
    loss, expected = theirs(kind, nearby(case), examples, tmp_path, **settings)
    model, runs = nearby(case), []
    once = replace(ONE_STEP, steps=1, max_grad_norm=1e9)
    gradients = gradients_of(lambda: runs.append(on_frozen(case, model, examples, once)), model)
    assert abs(loss) > 1e-3 and runs[0].history[0]["loss"] == pytest.approx(loss, abs=1e-5)
    assert runs[0].history[0]["clipped"] > 0
    for parameter, gradient in expected.items():
        assert torch.allclose(gradients[parameter], gradient, rtol=1e-3, atol=1e-5), parameter


def online_dpo_of_trl(model, reference, examples, folder):
    """Loss and gradients of trl's own training step, whose drawing and scoring are replaced by what is frozen."""
    pytest.importorskip("trl", reason="needs the extra dev: pip install 'trueline[dev]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from datasets import Dataset
        from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

        arguments = OnlineDPOConfig(
            output_dir=str(folder), per_device_train_batch_size=len(examples), use_cpu=True, bf16=False,
            report_to="none", max_new_tokens=6, disable_tqdm=True, beta=0.3, temperature=1.0, missing_eos_penalty=None,
        )  # fmt: skip
        trainer = OnlineDPOTrainer(
            model=model, ref_model=reference, args=arguments, processing_class=tokenizer(),
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            train_dataset=Dataset.from_list([{"prompt": "w1"}] * len(examples)),
        )  # fmt: skip
    halves = [(e.tree.trunk, e.tree.branches[k]) for k in (0, 1) for e in examples]
    prompts, answers = ([torch.tensor(side) for side in sides] for sides in zip(*halves))
    drawn = (
        padded(prompts, 0, left=True),
        padded([torch.ones_like(p) for p in prompts], 0, left=True),
        padded(answers, 0),
        padded([torch.ones_like(a) for a in answers], 0),
        None,
    )
    trainer._generate = lambda model, prompts, images=None: drawn
    better = torch.tensor([1.0] * len(examples) + [0.0] * len(examples))
    trainer._calculate_rewards_from_functions = lambda **_: better
    loss = trainer.training_step(model, {"prompt": ["w1"] * len(examples)})
    return float(loss), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def test_online_dpo_has_trls_loss_and_gradient(tmp_path):
    case = CASES["online_dpo"]
    examples = frozen(case, torch.float32)
    loss, expected = online_dpo_of_trl(nearby(case), case.model(), examples, tmp_path)
    model, runs = nearby(case), []
    once = replace(ONE_STEP, steps=1, max_grad_norm=1e9)
    gradients = gradients_of(lambda: runs.append(on_frozen(case, model, examples, once)), model)
    assert abs(loss - math.log(2)) > 1e-3 and runs[0].history[0]["loss"] == pytest.approx(loss, abs=1e-5)
    for parameter, gradient in expected.items():
        assert torch.allclose(gradients[parameter], gradient, rtol=1e-3, atol=1e-5), parameter
