"""One process of sharded runs: sharded_run.py OUT [--kill STEP] NAME ..., under torchrun's environment variables.

Every run leaves its checkpoints in OUT/NAME and what the first process got back in OUT/NAME.pt.
"""

import os
import signal
import sys
from pathlib import Path

import torch
from every_objective import CASES
from training_models import llama

from trueline.training.adapters import with_adapters
from trueline.training.batches import SeededBatches
from trueline.training.config import LoraConfig, TrainingConfig
from trueline.training.loop import train

# seven examples in steps of three and passes of 24 tokens: unequal numbers of passes and runs, and a last step in which
# one process has no example
CONFIG = TrainingConfig(
    learning_rate=1e-2, weight_decay=0.1, batch_size=3, epochs=2, token_budget=24, checkpoint_every=1
)
NAMES = ("sft", "dpo", "kto", "reward", "rmu", "circuit_breakers", "dpo, untied", "dpo, lora")


def run(name, *, sharded=False, folder=None, kill=None):
    torch.set_num_threads(1)
    method, _, kind = name.partition(", ")
    case = CASES[method]
    data = case.data(torch.float64, n=7)
    model = case.model(torch.float64, seed=1)
    if kind == "untied":
        model = llama(torch.float64, seed=1, tie_word_embeddings=False)
    if kind == "lora":
        model = with_adapters(model, LoraConfig(rank=3), seed=0)
    batches = SeededBatches(kind=case.objective.batch, examples=data, batch_size=3, epochs=2)

    def progress(done, total, words):
        if done == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    done = train(
        model, batches, case.objective, CONFIG, cpu=True, checkpoint_folder=folder, sharded=sharded,
        progress=progress,
    )  # fmt: skip
    return model, done


if __name__ == "__main__":
    import torch.distributed

    out, names, kill = Path(sys.argv[1]), sys.argv[2:], None
    if names[0] == "--kill":
        kill, names = int(names[1]), names[2:]
    for name in names:
        model, done = run(name, sharded=True, folder=out / name, kill=kill)
        if torch.distributed.get_rank() == 0:
            torch.save((model.state_dict(), done.history), out / f"{name}.pt")
    assert torch.distributed.get_world_size() == 2
    torch.distributed.destroy_process_group()
