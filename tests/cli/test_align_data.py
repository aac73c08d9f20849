"""trueline align: which file a method takes its data from, and training cut over two processes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from .running import done, refused

FAST = ("--epochs", 1, "--batch-size", 2, "--learning-rate", 0.01)
Pairs = Callable[..., Path]


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def safe(tmp_path: Path) -> Path:
    rows = [{"prompt": f"Do harm {n}", "answer": "No."} for n in range(4)]
    return written(tmp_path / "safe.jsonl", rows)


@pytest.fixture
def forget(tmp_path: Path) -> Path:
    rows = [{"text": f"The code is {n}.", "label": "forget" if n % 2 else "retain"} for n in range(4)]
    return written(tmp_path / "forget.jsonl", rows)


def told(folder: str) -> dict[str, object]:
    manifest: dict[str, object] = json.loads((Path(folder).parent / "manifest.json").read_text())
    return manifest


def test_safe_answers_come_from_a_file_of_their_own(
    model: Path, pairs: Pairs, safe: Path, tmp_path: Path
) -> None:
    asked = ("align", model, "--data", pairs(), "--out", tmp_path / "out", *FAST, "--method")
    trained = done(*asked, "safety_mixing", "--safety", safe, "--set", "share=0.5").out.splitlines()[-1]
    assert told(trained)["data"]["examples"] == 4 + 2  # type: ignore[index]
    assert "give --safety FILE" in refused(*asked, "safety_mixing")
    assert "does not learn from safe answers to harmful requests" in refused(*asked, "sft", "--safety", safe)
    assert "is not used: leave it out" in refused(*asked, "dpo", "--forget", safe)


def test_what_is_to_be_forgotten_comes_from_either_option(model: Path, forget: Path, tmp_path: Path) -> None:
    asked = ("align", model, "--out", tmp_path / "out", *FAST, "--method", "graddiff")
    own, data = (done(*asked, option, forget).out.splitlines()[-1] for option in ("--forget", "--data"))
    assert own == data
    assert "learns from forget: give --data FILE" in refused(*asked)
    assert f"--data {forget} is not used" in refused(*asked, "--forget", forget, "--data", forget)


def test_a_reward_and_a_cost_model_are_folders_that_others_take(
    model: Path, pairs: Pairs, tmp_path: Path
) -> None:
    rows = [json.loads(line) for line in pairs().read_text().splitlines()]
    known = written(
        tmp_path / "known.jsonl", [{**row, "chosen_safe": True, "rejected_safe": False} for row in rows]
    )
    asked = ("align", model, "--data", known, "--out", tmp_path / "out", *FAST, "--method")
    reward, cost = (done(*asked, kind).out.splitlines()[-1] for kind in ("reward", "cost"))
    assert {"accuracy", "mean_reward"} <= told(reward)["history"][0].keys()  # type: ignore[index]
    assert {"order_accuracy", "sign_accuracy"} <= told(cost)["history"][0].keys()  # type: ignore[index]
    few = ("--set", "max_tokens=4", "--set", f"reward={reward}", "--set", f"cost={cost}")
    policy = done(*asked, "safe_rlhf", *few).out.splitlines()[-1]
    assert {"reward", "cost", "lambda"} <= told(policy)["history"][0].keys()  # type: ignore[index]
    assert "does not say which of its answers are safe" in refused(*asked, "cost", "--data", pairs())
    assert "does not take the option 'beta'" in refused(*asked, "reward", "--beta", 0.1)


def test_what_a_critic_gave_is_told(tmp_path: Path) -> None:
    done("testbed", "data", "--out", tmp_path, "--rows", 4)
    few = ("--set", "critic=scripted:0", "--set", "answer_tokens=24", "--set", "preference=none")
    asked = ("--data", tmp_path / "demonstrations.jsonl", "--out", tmp_path / "out", *few)
    said = done("align", "testbed:tiny", "--method", "constitutional_ai", *asked).out
    assert (
        said.startswith("Critic scripted critic, error 0: ") and "revisions of answers to 4 prompts" in said
    )


def test_what_trains_no_weights_is_refused(model: Path, pairs: Pairs, tmp_path: Path) -> None:
    asked = ("align", model, "--data", pairs(), "--out", tmp_path / "out", "--method")
    for method in ("caa", "dexperts", "best_of_n", "self_reminder"):
        assert "trains no weights, so there is no model to save" in refused(*asked, method)


def test_weights_are_mended_by_the_models_that_are_named(model: Path, pairs: Pairs, tmp_path: Path) -> None:
    tuned = done("align", model, "--data", pairs(), "--out", tmp_path / "out", *FAST, "--method", "sft")
    folder = tuned.out.splitlines()[-1]
    asked = ("align", folder, "--out", tmp_path / "out", "--method", "resta")
    assert "name its folder (base: FOLDER in a study file, --set base=FOLDER)" in refused(
        *asked, "--data", pairs()
    )
    both = ("--set", f"base={model}", "--set", f"unaligned={folder}", "--set", "strength=1")
    mended = done(*asked, *both).out.splitlines()[-1]
    # θ + 1 · (θ_base − θ_unaligned) with the fine-tune itself as the unaligned model is the base
    one, two = (load_file(Path(place) / "model.safetensors") for place in (model, mended))
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)
    assert "so --data" in refused(*asked, *both, "--data", pairs())


def test_what_cannot_be_sharded_is_refused(model: Path, pairs: Pairs, safe: Path, tmp_path: Path) -> None:
    asked = ("align", model, "--data", pairs(), "--out", tmp_path / "out", "--sharded", "--method")
    assert "there is one: start it with torchrun" in refused(*asked, "dpo")
    for method, more in (("rloo", ()), ("constitutional_ai", ()), ("ewc", ("--safety", safe))):
        assert f"method '{method}' cannot be sharded" in refused(*asked, method, *more)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_processes_train_what_one_does(model: Path, pairs: Pairs, tmp_path: Path) -> None:
    asked = ["align", str(model), "--data", str(pairs()), *map(str, FAST), "--method"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    reward = done(*asked, "reward", "--out", tmp_path / "alone").out.splitlines()[-1]
    few = ("--set", "max_tokens=4", "--set", "samples=2", "--set", f"reward={reward}")
    for method, own, together in (("dpo", (), ["--sharded"]), ("sft", (), ["--sharded"]), ("rloo", few, [])):
        said = done(*asked, method, *own, "--out", tmp_path / "alone").out.splitlines()
        words = [*torchrun, "-m", "trueline", *asked, method, *own, "--out", str(tmp_path / "cut"), *together]
        run = subprocess.run(
            words, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300
        )
        assert run.returncode == 0, run.stderr
        assert len(run.stdout.splitlines()) == len(said)  # the first process alone says where it is
        alone, cut = said[-1], run.stdout.splitlines()[-1]
        assert Path(cut).name == Path(alone).name and Path(cut).parent.name == Path(alone).parent.name
        one, two = (load_file(Path(folder) / "model.safetensors") for folder in (alone, cut))
        assert one.keys() == two.keys() and all(one[n].shape == two[n].shape for n in one)
        for mine, theirs in zip(told(alone)["history"], told(cut)["history"], strict=True):  # type: ignore[call-overload]
            assert theirs["loss"] == pytest.approx(mine["loss"], rel=1e-4)
        # Adam turns rounding of near-zero gradients into steps: most weights agree closely, all within a few steps
        gap = torch.cat([(one[n] - two[n]).abs().flatten() for n in one])
        assert float(gap.median()) < 1e-5 and float(gap.max()) < 0.05
