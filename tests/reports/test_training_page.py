"""The page of a training run, and the words on what moved in it, on histories made by hand."""

import json

import pytest

from trueline.core.errors import InputError
from trueline.reports.training import render, training_page
from trueline.training.history import is_on_policy, shifts, signs, thinned


def history(steps=20, updates=1, **lines):
    """Lines of a run; each figure is a function of the rollout's number."""
    shown = {"reward": lambda n: 0.5, "kl": lambda n: 0.1 * n, "length": lambda n: 9.0, **lines}
    made = []
    for step in range(steps * updates):
        rollout = {name: float(figure(step // updates)) for name, figure in shown.items()}
        made.append({"step": float(step), "loss": 1.0 / (1 + step), "seconds": 0.1, **rollout})
    return made


def manifest(lines, **settings):
    return {
        "treatment": {"name": "rloo", "version": "1", "beta": 0.05, **settings},
        "training": {"steps": len(lines), "tokens": 1e4, "flops": 1e9, "seconds": 12.0},
        "history": lines,
    }


def test_thinned_by_hand():
    lines = [{"step": float(n), "reward": float(n)} for n in range(5)]
    # stretches (0, 1) and (2, 3, 4)
    assert thinned(lines, points=2) == [{"step": 0.5, "reward": 0.5}, {"step": 3.0, "reward": 3.0}]
    assert thinned(lines) == lines and thinned([]) == []


def test_shifts_by_hand():
    found = shifts(history(reward=lambda n: n % 2 + n / 10))
    # the first fifth: 0, 1.1, 0.2, 1.3; the last: 1.6, 2.7, 1.8, 2.9
    assert found["reward"].start == pytest.approx(0.65) and found["reward"].end == pytest.approx(2.25)
    assert found["reward"].clear and not found["length"].clear and found["length"].change == 0
    assert shifts(history(steps=9)) == {}


def test_updates_of_one_rollout_count_once():
    once, often = history(), history(updates=4)
    assert shifts(often)["kl"] == shifts(once)["kl"] and shifts(history(steps=4, updates=4)) == {}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({"reward": lambda n: n, "gold": lambda n: -n}, "gold fell from -1.5 to -17.5"),
        ({"reward": lambda n: n, "repetition": lambda n: n / 40}, "Answers repeat themselves more"),
        ({"reward": lambda n: n, "length": lambda n: 10 + n}, "Answers went from 11.5 to 27.5 tokens"),
        ({"reward": lambda n: n, "entropy": lambda n: 2 / (1 + n)}, "Entropy fell"),
        ({"reward": lambda n: n, "refused": lambda n: n / 20}, "More prompts are refused"),
        ({}, "The reward did not rise clearly"),
    ],
)
def test_signs_are_said_where_they_are_and_nowhere_else(lines, said):
    (told,) = signs(history(**lines))
    assert said in told
    assert signs(history(reward=lambda n: n, gold=lambda n: n)) == []


def test_a_run_on_own_answers_is_drawn_against_divergence():
    page = render(manifest(history(reward=lambda n: n, gold=lambda n: -n), kl_budget=4.0))
    assert "Gold reward, only watched" in page and "KL budget" in page and "4 nats" in page
    assert page.count('<svg class="chart"') == 4  # reward, gold; KL and length against steps
    assert "over-optimised" in page and 'src="http' not in page
    # the last of ten stretches: rollouts 18 and 19, √((1.8 + 1.9) / 2) = 1.36 and 18.5
    assert "1.36, 18.5" in page


def test_another_run_shows_its_loss_and_metrics(tmp_path):
    lines = [{"step": float(n), "loss": 1.0 / (n + 1), "accuracy": 0.5, "seconds": 1.0} for n in range(30)]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest(lines)))
    page = training_page(tmp_path)
    text = page.read_text()
    assert not is_on_policy(lines) and "Reward against divergence" not in text
    assert text.count('<svg class="chart"') == 2 and "Accuracy" in text and "Seconds" not in text


def test_without_a_history_there_is_no_page(tmp_path):
    assert training_page(tmp_path) is None
    (tmp_path / "manifest.json").write_text(json.dumps({"treatment": {"name": "resta"}}))
    assert training_page(tmp_path) is None
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        training_page(tmp_path)


def test_names_are_escaped():
    assert "<b>x</b>" not in render(manifest(history(), reward="<b>x</b>"))
