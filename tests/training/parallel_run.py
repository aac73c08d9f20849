"""One process of a data-parallel DPO run: parallel_run.py OUT, under torchrun's environment variables."""

import sys

import torch
from training_models import examples, llama

from trueline.training.batches import SeededBatches
from trueline.training.config import TrainingConfig
from trueline.training.loop import train
from trueline.training.objectives.dpo import DPOObjective
from trueline.training.reference import add_reference

# seven pairs in steps of three: the last step has one pair, so that one of two processes has none
CONFIG = TrainingConfig(learning_rate=1e-2, batch_size=3, epochs=2, token_budget=40)


def run(folder=None):
    torch.set_num_threads(1)
    model = llama(torch.float64)
    data = add_reference(model, examples(7, 2), weights="tiny", config=CONFIG).examples
    batches = SeededBatches(kind="pairs", examples=data, batch_size=3, epochs=2)
    done = train(model, batches, DPOObjective(), CONFIG, cpu=True, checkpoint_folder=folder)
    return model, done


if __name__ == "__main__":
    from pathlib import Path

    import torch.distributed

    run(Path(sys.argv[1]))
    assert torch.distributed.get_world_size() == 2
    torch.distributed.destroy_process_group()
