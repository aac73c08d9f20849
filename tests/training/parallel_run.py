"""One process of a data-parallel run: parallel_run.py OUT OBJECTIVE, under torchrun's environment variables."""

import sys

import torch
from every_objective import CASES

from trueline.training.batches import SeededBatches
from trueline.training.config import TrainingConfig
from trueline.training.loop import train

# seven examples in steps of three: the last step has one, so that one of two processes has none
CONFIG = TrainingConfig(learning_rate=1e-2, batch_size=3, epochs=2, token_budget=40)


def run(name, folder=None):
    torch.set_num_threads(1)
    case = CASES[name]
    model, data = case.model(torch.float64, seed=1), case.data(torch.float64, n=7)
    batches = SeededBatches(kind=case.objective.batch, examples=data, batch_size=3, epochs=2)
    done = train(model, batches, case.objective, CONFIG, cpu=True, checkpoint_folder=folder)
    return model, done


if __name__ == "__main__":
    from pathlib import Path

    import torch.distributed

    run(sys.argv[2], Path(sys.argv[1]))
    assert torch.distributed.get_world_size() == 2
    torch.distributed.destroy_process_group()
