"""Trajectories equal trl's, on the same data, order and learning rates (the extra ``dev``)."""

import warnings
from dataclasses import dataclass, replace
from importlib import import_module
from typing import ClassVar

import numpy as np
import pytest
import torch
from chat_codec import codec, messages_of, tokenizer
from training_models import llama, value_llama

from trueline.core.messages import chat
from trueline.data.labelled import LabelledText
from trueline.data.preferences import Demonstration, PreferencePair
from trueline.models.trees import Tree
from trueline.training.batches import Example, SeededBatches
from trueline.training.config import TrainingConfig
from trueline.training.data import demonstration_examples, labelled_examples, preference_examples
from trueline.training.loop import train
from trueline.training.objectives.cpo import CPOObjective
from trueline.training.objectives.dpo import DPOObjective
from trueline.training.objectives.ipo import IPOObjective
from trueline.training.objectives.kto import KTOObjective
from trueline.training.objectives.orpo import ORPOObjective, log_odds
from trueline.training.objectives.reward import RewardObjective
from trueline.training.objectives.robust_dpo import RobustDPOObjective
from trueline.training.objectives.rso_hinge import RSOHingeObjective
from trueline.training.objectives.sft import SFTObjective
from trueline.training.objectives.simpo import SimPOObjective
from trueline.training.readings import REWARD
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


def theirs(kind, start, rows, work, accumulate=1, **dials):
    """trl's logs, model and tokenised data; ``kind`` is the name of its trainer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import trl
        from datasets import Dataset
        from transformers import TrainerCallback

        home = trl if hasattr(trl, f"{kind}Trainer") else import_module(f"trl.experimental.{kind.lower()}")
        keeper = recorder(TrainerCallback)
        start.save_pretrained(work / "start")  # trl loads its reference from there
        model = type(start).from_pretrained(work / "start", dtype=torch.float32)
        arguments = getattr(home, f"{kind}Config")(
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
        trainer = getattr(home, f"{kind}Trainer")(
            model=model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer(),
            callbacks=[keeper],
        )  # fmt: skip
        trainer.train()
    return keeper.logs, model, trainer.train_dataset


def both(tmp_path, objective, kind, rows, examples, **dials):
    """Our history and trl's logs, after a look at the tokens and at where the two ended."""
    pytest.importorskip("trl", reason="needs the extra dev: pip install 'trueline[dev]'")
    start = value_llama() if REWARD in objective.reads else llama()
    logs, their_model, tokens = theirs(kind, start, rows, tmp_path / "trl", **dials)

    config = TrainingConfig(learning_rate=RATE, warmup=0.0, batch_size=PER_STEP, steps=STEPS)
    data = examples(tokens)
    if objective.reference:
        data = add_reference(start, data, weights="start", config=config).examples
    batches = SeededBatches(
        kind=objective.batch, examples=data, batch_size=PER_STEP, limit=STEPS, order=range(len(data))
    )
    run = train(start, batches, objective, config)
    for (name, ours), (_, peer) in zip(start.named_parameters(), their_model.named_parameters()):
        gap = (ours - peer).abs()
        # where a gradient is nothing but rounding, Adam takes a step of the learning rate this way or that
        assert gap.max() < RATE and (gap > 1e-4).float().mean() < 1e-3, name
    return run.history, logs


def on_pairs(tmp_path, objective, kind="DPO", dress=None, **dials):
    """Both on the same preference pairs, or on what ``dress`` makes of trl's rows."""
    pairs = make_pairs(STEPS * PER_STEP)

    def examples(tokens):
        made = preference_examples(codec(), pairs, 1024).examples
        for example, row in zip(made, tokens, strict=True):
            assert their_pair(row) == (list(example.tree.trunk), *map(list, example.tree.branches))
        return made

    return both(tmp_path, objective, kind, as_pairs(pairs), dress or examples, **dials)


def their_pair(row):
    """Prompt, chosen and rejected answer of trl's rows, whichever trainer made them."""
    if "chosen_labels" in row:
        answers = [[t for t in row[f"{side}_labels"] if t != -100] for side in ("chosen", "rejected")]
        return row["prompt_input_ids"], *answers
    if "prompt_ids" in row:
        return row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]
    whole = (row["chosen_ids"], row["rejected_ids"])  # of a reward: cut where the assistant speaks
    cut = whole[0].index(tokenizer().convert_tokens_to_ids("<bot>")) + 1
    return whole[0][:cut], whole[0][cut:], whole[1][cut:]


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


@pytest.mark.parametrize(
    ("objective", "kind", "dials"),
    [
        # trl averages the likelihood term over the tokens of a pass
        (CPOObjective(beta=BETA, nll="mean"), "CPO", {"beta": BETA}),
        (
            SimPOObjective(beta=2.0, gamma=0.7),
            "CPO",
            {"loss_type": "simpo", "cpo_alpha": 0.0, "beta": 2.0, "simpo_gamma": 0.7},
        ),
        (RewardObjective(), "Reward", {}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_pairs_without_a_reference_have_trls_trajectories(tmp_path, objective, kind, dials):
    agree(*on_pairs(tmp_path, objective, kind, **dials))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_sft_has_trls_trajectory(tmp_path, accumulate):
    shown = [Demonstration(prompt=pair.prompt, answer=pair.chosen) for pair in make_pairs(STEPS * PER_STEP)]
    rows = [
        {
            "prompt": messages_of(row.prompt),
            "completion": [{"role": "assistant", "content": row.answer}],
        }
        for row in shown
    ]

    def examples(tokens):
        made = demonstration_examples(codec(), shown, 1024).examples
        for example, row in zip(made, tokens, strict=True):
            (answer,) = example.tree.branches
            assert [*example.tree.trunk, *answer] == row["input_ids"]
            assert row["labels"] == [-100] * len(example.tree.trunk) + list(answer)
        return made

    agree(*both(tmp_path, SFTObjective(), "SFT", rows, examples, accumulate=accumulate))


@dataclass(frozen=True, kw_only=True)
class TrlsORPO(ORPOObjective):
    """ORPO as trl computes it: its likelihood term runs over prompt and answer, and is a mean over the tokens of all
    pairs, where the paper's (equation 6) is that of the answer, pair by pair. Trees have but the first token of the
    prompt in their trunk; the fact ``prompt`` counts the other ones."""

    name: ClassVar[str] = "trl's orpo"

    def totals(self, examples, score):
        whole = sum(len(example.tree.branches[0]) for example in examples)
        return {**super().totals(examples, score), "whole": float(whole)}

    def judge(self, scored, totals):
        starts = [int(example.facts["prompt"][0]) for example in scored.examples]
        answers = torch.stack(
            [
                torch.stack([branch[start:].mean() for branch in branches])
                for start, branches in zip(starts, scored.of())
            ]
        )
        odds = log_odds(answers)
        compared = -torch.nn.functional.logsigmoid(odds[:, 0] - odds[:, 1])
        likelihood = scored.sums()[:, 0] * totals["examples"] / totals["whole"]
        return self.weight * compared - likelihood, odds


def test_orpo_differs_from_trls_by_the_likelihood_of_the_prompt_alone(tmp_path):
    def whole(tokens):
        made = []
        for index, row in enumerate(tokens):
            prompt, *answers = their_pair(row)
            branches = tuple((*prompt[1:], *answer) for answer in answers)
            facts = {"prompt": (float(len(prompt) - 1),)}
            made.append(Example(tree=Tree(trunk=(prompt[0],), branches=branches), index=index, facts=facts))
        return made

    history, logs = on_pairs(tmp_path, TrlsORPO(weight=0.5), "ORPO", dress=whole, beta=0.5)
    agree(history, logs)


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
