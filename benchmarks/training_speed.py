"""Speed and memory of training beside trl's, on the same model, data, order and learning rates, in one run.

    python benchmarks/training_speed.py dpo reward kto orpo simpo sft [--shape testbed small large]
        [--prompts long short real real_short real_long] [--steps 4] [--repeats 3] [--threads 1] [--memory]

Random Llamas (0.6 M parameters, the shape of the testbed's large model; 5.8 M with a vocabulary of 4,096; 34.6 M with
49,152), random token ids, four pairs (or answers) a step, AdamW, fp32 on the CPU; *real* prompts and answers have the
lengths of UltraFeedback's. trl runs as it comes (but in fp32, so that losses can be compared) and at its best settings
(reference precomputed, no gradient checkpointing). Contenders take turns; ratios are of CPU seconds of all threads,
which other programs' load hardly moves, of a run's typical step (the median; the mean of real ones, which are unlike),
and medians of the repeats' own ratios. Losses must agree to 1e-4 (ORPO's are not the same quantity), or the run fails.
The bare figure is a forward and backward pass of the model over the tokens that we read, as plain unpadded rows with
the loss on every token and no optimiser. Memory is how far each contender peaks, model and data included, above where
it stood before, in a process of its own.

On a GPU (not run yet): ``--device cuda --dtype bf16 --shape 1b``; wall time stands for CPU time there, losses must
agree to 2e-2, and ``--peak-tflops`` gives the share of the card's peak. Needs the extra ``dev``.
"""

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from speed.contenders import Setting, Timed, examples_of, gap, quiet, run_bare, run_ours, run_trl, tokens_of
from speed.lengths import KINDS
from speed.measuring import in_own_process, peak_growth
from speed.methods import METHODS, PER_STEP, Method, make_rows
from speed.models import SHAPES, build, load

PEERS = {"trl, defaults": False, "trl, best": True}


def compare(name: str, shape: str, prompts: str, given: argparse.Namespace) -> bool:
    """One method on one model: run all in turn, print the table, and say whether the losses agree."""
    method = METHODS[name]
    rows = make_rows(PER_STEP * given.steps, SHAPES[shape]["vocab_size"], prompts)
    examples = examples_of(method, rows)
    peers = {title: best for title, best in PEERS.items() if best or not given.best_only}
    seconds: dict[str, list[np.ndarray]] = {}
    gaps = []
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        setting = _setting(work / "model", prompts, given)
        build(shape, setting.folder, reward=method.reward)
        for _ in range(given.repeats):
            ours = run_ours(setting, method, rows)
            found = {title: run_trl(setting, method, rows, work, best) for title, best in peers.items()}
            gaps.append(gap(ours, found))
            bare = run_bare(setting, method, examples)
            for title, timed in {"trueline": ours, **found}.items():
                seconds.setdefault(title, []).append(timed.seconds)
            seconds.setdefault("bare forward-backward", []).append(bare)
        parameters = sum(p.numel() for p in load(setting.folder, reward=method.reward).parameters())
    runs = f"{given.repeats} x {given.steps} steps"
    print(f"\n{name}, {shape} ({parameters / 1e6:.1f} M parameters), {prompts} prompts, {runs}")
    _table(seconds, given)
    tokens, clock = tokens_of(examples, prompts), _clock(given)
    rate = tokens / np.median(np.array(seconds["trueline"])[:, clock])
    peak = f", {6 * parameters * rate / given.peak_tflops / 1e12:.0%} of peak" if given.peak_tflops else ""
    print(f"trueline reads {tokens:.0f} tokens a step, {rate:,.0f} a second{peak}")
    allowed = 2e-2 if given.dtype == "bf16" else 1e-4
    print(
        f"largest difference of a loss: {max(gaps):.1e}" + ("" if method.same else " (not the same quantity)")
    )
    if given.memory:
        _memory(name, shape, prompts, given)
    return max(gaps) < allowed or not method.same


def _setting(folder: Path, prompts: str, given: argparse.Namespace) -> Setting:
    return Setting(
        folder=folder, steps=given.steps, prompts=prompts, device=given.device, precision=given.dtype
    )


def _clock(given: argparse.Namespace) -> int:
    """The column that ratios are of: CPU time on a CPU, wall time elsewhere."""
    return 1 if given.device == "cpu" else 0


def _table(seconds: dict[str, list[np.ndarray]], given: argparse.Namespace) -> None:
    mine = np.array(seconds["trueline"])
    print(f"{'':24}{'wall s':>8}{'CPU s':>8}{'wall ratio':>12}{'CPU ratio':>11}  single ratios")
    for title, each in seconds.items():
        ratios = np.array(each) / mine
        wall, cpu = np.median(np.array(each), axis=0)
        single = " ".join(f"{ratio:.2f}" for ratio in ratios[:, _clock(given)])
        wall_ratio, cpu_ratio = np.median(ratios, axis=0)
        print(f"{title:24}{wall:8.3f}{cpu:8.3f}{wall_ratio:12.2f}{cpu_ratio:11.2f}  {single}")


def _memory(name: str, shape: str, prompts: str, given: argparse.Namespace) -> None:
    """Each contender's peak, two steps in a process of its own."""
    peaks = {}
    for title in ("trueline", *PEERS):
        asked = [
            name,
            "--shape",
            shape,
            "--prompts",
            prompts,
            "--steps",
            "2",
            "--threads",
            str(given.threads),
        ]
        asked += ["--device", given.device, "--dtype", given.dtype, "--alone", title]
        peaks[title] = in_own_process(asked)
    shares = "; ".join(
        f"{title} {peak:.0f} MiB ({peak / peaks['trueline']:.2f} x)" for title, peak in peaks.items()
    )
    print(f"memory peaks: {shares}", flush=True)


def _alone(title: str, method: Method, shape: str, prompts: str, given: argparse.Namespace) -> float:
    """The peak of one contender, model and data included."""
    with tempfile.TemporaryDirectory() as place:
        setting = _setting(Path(place) / "model", prompts, given)
        build(shape, setting.folder, reward=method.reward)
        rows = make_rows(PER_STEP * given.steps, SHAPES[shape]["vocab_size"], prompts)
        run: partial[Timed] = partial(run_ours, setting, method, rows)
        if title in PEERS:
            run = partial(run_trl, setting, method, rows, Path(place), PEERS[title])
        return peak_growth(run)


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("methods", nargs="+", choices=sorted(METHODS))
    parser.add_argument("--shape", nargs="+", choices=sorted(SHAPES), default=["testbed", "small", "large"])
    parser.add_argument("--prompts", nargs="+", choices=KINDS, default=["long", "short"])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--best-only", action="store_true", help="leave trl's defaults out")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--peak-tflops", type=float, help="of the card in this precision")
    parser.add_argument("--alone", choices=["trueline", *PEERS], help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    quiet()
    if given.alone:
        (name,), (shape,), (prompts,) = given.methods, given.shape, given.prompts
        print(json.dumps(_alone(given.alone, METHODS[name], shape, prompts, given)))
        return 0
    cells = [(n, s, p) for n in given.methods for s in given.shape for p in given.prompts]
    agree = [compare(*cell, given) for cell in cells]
    return 0 if all(agree) else 1


if __name__ == "__main__":
    sys.exit(main())
