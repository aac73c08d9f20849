"""A fitted law over real models: testbed models of six sizes, or six shares of the corpus, by three seeds.

All read the demonstration world and are asked the same items, so that only the scale and the seed (initial weights and
order of reading) differ. The models are ordinary transformers folders and the study an ordinary one: what is printed
here is what ``trueline report OUT`` shows. A killed run goes on where it was.

    python benchmarks/scale_law.py --axis parameters --out runs/scale_parameters
    python benchmarks/scale_law.py --axis tokens --out runs/scale_tokens
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from trueline.studies.plan import make_plan
from trueline.studies.results import read_results
from trueline.studies.run import run_study
from trueline.studies.scaling import capability_tracking, scale_curves, tracking_words
from trueline.studies.spec import PARAMETERS, parse_spec
from trueline.testbed.corpus import corpus
from trueline.testbed.embedded import DEMO, settle
from trueline.testbed.pretrain import Encoded, Pretraining, Size, encode, fit, new_model
from trueline.testbed.tokenizer import train_tokenizer
from trueline.testbed.world import build_world

WIDTHS = (16, 24, 40, 64, 96, 144)
SHARES = (1 / 160, 1 / 80, 1 / 40, 1 / 20, 1 / 10, 1 / 5)
WIDTH, SHARE = 40, 1 / 10  # what stays fixed while the other varies
COPIES = 1.5  # as the shipped models read it
WARMUP = 0.1
MEASURES = ("perplexity", "arc", "bbq", "advbench")


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model to train: its width, the share of the corpus that it reads, and its seed."""

    width: int
    share: float
    seed: int

    @property
    def label(self) -> str:
        """Its name in the study."""
        return f"width {self.width}, {self.share:.2%} of the corpus, seed {self.seed}"

    @property
    def folder(self) -> str:
        """Its name on the disk."""
        return f"{self.width}-{self.share:g}-{self.seed}"


def models(axis: str, seeds: int) -> list[Model]:
    """The models of an axis, smallest first."""
    sizes = [(w, SHARE) for w in WIDTHS] if axis == PARAMETERS else [(WIDTH, share) for share in SHARES]
    return [Model(width=width, share=share, seed=seed) for width, share in sizes for seed in range(seeds)]


def read(encoded: Sequence[Encoded], share: float) -> Sequence[Encoded]:
    """The first documents of the corpus, which stand in random order: every kind keeps its part of the whole."""
    return encoded[: round(share * len(encoded))]


def main() -> None:
    """Train what is missing, run the study, print the curves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--axis", choices=[PARAMETERS, "tokens"], default=PARAMETERS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--measures", nargs="+", default=list(MEASURES))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    documents = corpus(build_world(DEMO), copies=COPIES)
    tokenizer = train_tokenizer(documents)
    encoded = encode(documents, tokenizer)
    sizes = []
    for model in models(options.axis, options.seeds):
        folder = options.out / "models" / model.folder
        rows = read(encoded, model.share)
        tokens = sum(len(ids) for ids, _ in rows)
        if not folder.exists():
            started = time.process_time()
            plan = Pretraining(seed=model.seed)
            steps = tokens // (plan.row * plan.batch)
            plan = Pretraining(seed=model.seed, warmup_steps=max(1, round(WARMUP * steps)))
            shape = Size(width=model.width, layers=2, heads=4, feed_forward=2 * model.width)
            network = new_model(shape, tokenizer, model.seed)
            fit(network, rows, plan)
            aside = folder.with_name(f".{model.folder}")
            network.save_pretrained(aside)
            tokenizer.save_pretrained(aside)
            settle(aside, folder)
            print(f"{model.label}: {tokens} tokens, {time.process_time() - started:.0f} s of CPU", flush=True)
        scale = None if options.axis == PARAMETERS else float(tokens)
        sizes.append({"model": f"testbed:{folder}", "label": model.label, "scale": scale})
    spec = {
        "name": f"scale law over {options.axis}",
        "targets": [{**sizes[-1], "scale": None}],
        "measures": options.measures,
        "sizes": sizes,
        "scale_axis": options.axis,
    }
    run_study(make_plan(parse_spec(spec)), options.out)
    results = read_results(options.out)
    for curve in scale_curves(results):
        print(f"\n{curve.title}, {curve.metric.name} over {curve.axis}")
        for point in curve.points:
            estimate = point.estimate
            print(
                f"  {point.scale:>9.0f}  {estimate.value:.3f} [{estimate.low}, {estimate.high}]  {point.label}"
            )
        print("\n".join(f"  {line}" for line in curve.told))
    print("\n".join(tracking_words(capability_tracking(results))))


if __name__ == "__main__":
    main()
