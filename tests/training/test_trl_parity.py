"""Trajectories equal trl's, on the same data, order and learning rates (the extra ``peers``)."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from chat_codec import codec, messages_of, tokenizer
from training_models import llama

from trueline.core.messages import chat
from trueline.data.labelled import LabelledText
from trueline.data.preferences import PreferencePair
from trueline.models.trees import Tree
from trueline.training.batches import Example, SeededBatches
from trueline.training.config import TrainingConfig
from trueline.training.data import labelled_examples, preference_examples
from trueline.training.loop import train
from trueline.training.objectives.dpo import DPOObjective
from trueline.training.objectives.ipo import IPOObjective
from trueline.training.objectives.kto import KTOObjective
from trueline.training.objectives.robust_dpo import RobustDPOObjective
from trueline.training.objectives.rso_hinge import RSOHingeObjective
from trueline.training.reference import add_reference

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]
STEPS, PER_STEP, BETA, RATE = 10, 4, 0.1, 2e-3


def make_pairs(count):
    draw = np.random.default_rng(0)

    def words(low, high):
        return " ".join(f"w{i}" for i in draw.integers(0, 35, draw.integers(low, high)))

    return [
        PreferencePair(prompt=chat(words(4, 12)), chosen=words(2, 9), rejected=words(2, 9))
        for _ in range(count)
    ]


def recorder(base):
    """A callback that keeps each step's logs."""

    class Callback(base):
        def __init__(self):
            self.logs = []

        def on_log(self, args, state, control, logs=None, **kwargs):
            if "loss" in logs:
                self.logs.append(dict(logs))

    return Callback()


def as_pairs(rows):
    """Preference pairs as trl wants them."""
    return [
        {
            "prompt": messages_of(row.prompt),
            "chosen": [{"role": "assistant", "content": row.chosen}],
            "rejected": [{"role": "assistant", "content": row.rejected}],
        }
        for row in rows
    ]


def theirs(kind, folder, rows, work, accumulate=1, **dials):
    """trl's logs, model and tokenised data; ``kind`` is the name of its trainer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import trl
        from datasets import Dataset
        from transformers import LlamaForCausalLM, TrainerCallback

        keeper = recorder(TrainerCallback)
        model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
        arguments = getattr(trl, f"{kind}Config")(
            output_dir=str(work),
            per_device_train_batch_size=PER_STEP // accumulate,
            gradient_accumulation_steps=accumulate,
            max_steps=STEPS,
            learning_rate=RATE,
            **dials,
            lr_scheduler_type="linear",
            warmup_steps=0,
            train_sampling_strategy="sequential",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=False,
            disable_tqdm=True,
        )
        trainer = getattr(trl, f"{kind}Trainer")(
            model=model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer(),
            callbacks=[keeper],
        )  # fmt: skip
        trainer.train()
    return keeper.logs, model, trainer.train_dataset


def both(tmp_path, objective, kind, rows, examples, **dials):
    """Our history and trl's logs, after a look at the tokens and at where the two ended."""
    pytest.importorskip("trl", reason="needs the extra peers: pip install 'trueline[peers]'")
    folder = tmp_path / "model"
    start = llama(vocab_size=41)
    start.save_pretrained(folder)
    logs, their_model, tokens = theirs(kind, folder, rows, tmp_path / "trl", **dials)

    config = TrainingConfig(learning_rate=RATE, warmup=0.0, batch_size=PER_STEP, steps=STEPS)
    data = examples(tokens)
    if objective.reference:
        data = add_reference(start, data, weights="start", config=config).examples
    batches = SeededBatches(
        kind=objective.batch, examples=data, batch_size=PER_STEP, limit=STEPS, order=range(len(data))
    )
    run = train(start, batches, objective, config)
    for (name, ours), (_, peer) in zip(start.named_parameters(), their_model.named_parameters()):
        assert torch.allclose(ours, peer, atol=1e-4), name
    return run.history, logs


def on_pairs(tmp_path, objective, kind="DPO", **dials):
    """Both on the same preference pairs."""
    pairs = make_pairs(STEPS * PER_STEP)

    def examples(tokens):
        made = preference_examples(codec(), pairs, 1024).examples
        for example, row in zip(made, tokens, strict=True):
            assert list(example.tree.trunk) == row["prompt_ids"]
            assert [list(b) for b in example.tree.branches] == [row["chosen_ids"], row["rejected_ids"]]
        return made

    return both(tmp_path, objective, kind, as_pairs(pairs), examples, **dials)


def agree(history, logs):
    assert len(logs) == STEPS
    for line, log in zip(history, logs):
        assert line["loss"] == pytest.approx(float(log["loss"]), abs=1e-4)
        assert line["grad_norm"] == pytest.approx(float(log["grad_norm"]), rel=1e-3)
        assert line["learning_rate"] == pytest.approx(float(log["learning_rate"]))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_dpo_has_trls_trajectory_and_metrics(tmp_path, accumulate):
    history, logs = on_pairs(tmp_path, DPOObjective(beta=BETA), accumulate=accumulate, beta=BETA)
    agree(history, logs)
    assert max(line["loss"] for line in history) > 0.7
    for line, log in zip(history, logs):
        assert line["margin"] == pytest.approx(float(log["rewards/margins"]), abs=1e-4)
        assert line["chosen_reward"] == pytest.approx(float(log["rewards/chosen"]), abs=1e-4)


@pytest.mark.parametrize(
    ("objective", "dials"),
    [
        (IPOObjective(tau=BETA), {"loss_type": "ipo", "beta": BETA}),
        (RobustDPOObjective(beta=BETA, flip_share=0.2), {"loss_type": "robust", "label_smoothing": 0.2}),
        (RSOHingeObjective(beta=BETA), {"loss_type": "hinge", "beta": BETA}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_family_has_trls_trajectories(tmp_path, objective, dials):
    agree(*on_pairs(tmp_path, objective, **{"beta": BETA, **dials}))


def test_kto_has_trls_trajectory_and_baseline(tmp_path):
    pairs = make_pairs(STEPS * PER_STEP)
    labels = [
        LabelledText(prompt=pair.prompt, answer=pair.chosen, wanted=place % 3 > 0)
        for place, pair in enumerate(pairs)
    ]
    rows = [
        {
            "prompt": messages_of(row.prompt),
            "completion": [{"role": "assistant", "content": row.answer}],
            "label": row.wanted,
        }
        for row in labels
    ]

    def examples(tokens):
        """trl turns the answers of a batch around by one for its baseline: the same is done here."""
        made = []
        for example, row in zip(labelled_examples(codec(), labels, 1024).examples, tokens, strict=True):
            assert list(example.tree.trunk) == row["prompt_ids"]
            assert [list(b) for b in example.tree.branches] == [row["completion_ids"]]
            turned = Tree(trunk=example.tree.trunk, branches=(tuple(row["KL_completion_ids"]),))
            made.append(replace(example, mismatched=Example(tree=turned, index=example.index)))
        return made

    objective = KTOObjective(beta=0.3, desirable_weight=1.2, undesirable_weight=0.9)
    history, logs = both(
        tmp_path, objective, "KTO", rows, examples, beta=0.3, desirable_weight=1.2, undesirable_weight=0.9
    )
    agree(history, logs)
    assert max(line["baseline"] for line in history) > 0.01
    for line, log in zip(history, logs):
        assert line["baseline"] == pytest.approx(float(log["kl"]), abs=1e-4)
