"""The page of a training run, and the words on what moved in it, on histories made by hand."""

import json

import pytest

from trueline.core.errors import InputError
from trueline.reports.training import feedback_words, render, training_page, training_words
from trueline.reports.training_curves import against_steps, arm_charts, mean_of
from trueline.studies.results import ArmResult, Usage
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


def test_reward_cost_and_multiplier_are_drawn_against_steps():
    runs = {"": history(cost=lambda n: 1 - n / 20, **{"lambda": lambda n: 1 / (1 + n)})}
    assert [title for title, _ in against_steps(runs)][:3] == [
        "reward it learns from",
        "cost",
        "multiplier λ",
    ]


def test_what_a_critic_gave_in_words():
    agreed = {"n": 40, "ties": 5, "value": 0.9, "low": 0.769, "high": 0.96}
    told = {
        "critic": "c", "prompts": 60, "revisions": 58, "not used": {"truncated": 2},
        "AI preferences": {"pairs": 45, "not used": {"identical": 12, "truncated": 3}},
    }  # fmt: skip
    revised = "Critic c: 58 revisions of answers to 60 prompts (not used: 2 × truncated)."
    pairs = "Pairs to learn from: 45 (not used: 12 × identical; 3 × truncated)."
    assert feedback_words(told) == [revised, pairs]
    told["AI preferences"]["agreement with the reward"] = agreed
    assert feedback_words(told)[2] == (
        "Its preferences agree with the known reward in 90.0 % [76.9, 96.0] of 40 pairs (5 more are worth the same to "
        "it)."
    )
    assert feedback_words({**told, "not used": {}, "AI preferences": {}}) == [
        "Critic c: 58 revisions of answers to 60 prompts."
    ]
    assert feedback_words({}) == []


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
    assert page.count('<svg class="chart"') == 6  # reward, gold; both, KL and length against steps
    assert "over-optimised" in page and 'src="http' not in page
    # the last of ten stretches: rollouts 18 and 19, √((1.8 + 1.9) / 2) = 1.36 and 18.5
    assert "1.36, 18.5" in page


def test_the_words_on_a_run_say_what_it_took_why_it_ended_and_what_to_look_at(tmp_path):
    made = manifest(history(reward=lambda n: n, refused=lambda n: n / 20), kl_budget=1.5)
    made["training"]["stopped"] = "KL 1.9 nats exceeded the budget of 1.5"
    (tmp_path / "manifest.json").write_text(json.dumps(made))
    assert training_words(tmp_path) == [
        "20 steps, 10 k tokens, 1 GFLOPs, 12.0 s.",
        "Stopped early: KL 1.9 nats exceeded the budget of 1.5.",
        "More prompts are refused: 8% to 88%.",
    ]
    (tmp_path / "manifest.json").write_text(json.dumps({"treatment": {"name": "resta"}}))
    assert training_words(tmp_path) == []


def test_another_run_shows_its_loss_and_metrics(tmp_path):
    lines = [{"step": float(n), "loss": 1.0 / (n + 1), "accuracy": 0.5, "seconds": 1.0} for n in range(30)]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest(lines)))
    page = training_page(tmp_path)
    text = page.read_text()
    assert not is_on_policy(lines) and "Reward against divergence" not in text
    assert text.count('<svg class="chart"') == 2 and "Accuracy" in text and "Seconds" not in text


def test_the_mean_of_runs_by_hand():
    one, other = (
        [{"step": float(n), "reward": a + n} for n in range(length)] for a, length in ((0, 2), (4, 4))
    )
    # stretches of the second: (0, 1) and (2, 3), with rewards 4.5 and 6.5
    assert mean_of([one, other]) == [{"step": 0.25, "reward": 2.25}, {"step": 1.75, "reward": 3.75}]
    assert mean_of([one]) == one


def arm(treatment, strength, seed, several=True):
    return ArmResult(
        label=f"{treatment} beta={strength}" + (f" seed={seed}" if several else ""), baseline="none",
        treatment=treatment, parameters={}, target="t", role="treatment", seed=seed,
        provenance={"curve": history(reward=lambda n: n + seed)}, usage=Usage(),
    )  # fmt: skip


def test_arms_are_drawn_as_the_mean_of_their_seeds_and_apart_where_colours_run_out():
    ((name, divergence, steps),) = arm_charts([arm("rloo", b, seed) for b in (1, 2) for seed in (0, 1)])
    assert name == "" and [title for title, _ in divergence] == ["reward it learns from"]
    assert divergence[0][1].count("<polyline") == 2 == steps[0][1].count("<polyline")
    assert divergence[0][1].count("rloo beta=1, mean of 2 seeds</text>") == 1
    assert "seeds</text>" not in steps[0][1]  # the key stands once
    # the last of ten stretches: rollouts 18 and 19, of seeds 0 and 1
    assert "rloo beta=2, mean of 2 seeds: 1.36, 19<" in divergence[0][1]
    many = [arm(method, b, 0, several=False) for method in ("rloo", "ppo") for b in range(4)]
    assert [name for name, *_ in arm_charts(many)] == ["rloo", "ppo"]
    assert arm_charts([]) == []


def test_a_share_is_not_drawn_beyond_one_and_settings_are_written_short():
    lines = [{"step": float(n), "accuracy": 0.2 + n / 40, "margin": 0.2 + n / 40} for n in range(32)]
    page = render(manifest(lines, budget={"flops": 3e11}))
    # from 164 at the bottom to 14 at the top: 164 − 150 · 0.975 on a scale to 1, 164 − 150 · 0.975/1.25 on one to 1.25
    assert '<circle class="dot small hue1" cx="296.8" cy="17.8" r="1.6"><title>accuracy: 31, 0.975' in page
    assert '<circle class="dot small hue1" cx="296.8" cy="47.0" r="1.6"><title>margin: 31, 0.975' in page
    assert "<code>flops:3e+11</code>" in page


def test_without_a_history_there_is_no_page(tmp_path):
    assert training_page(tmp_path) is None
    (tmp_path / "manifest.json").write_text(json.dumps({"treatment": {"name": "resta"}}))
    assert training_page(tmp_path) is None
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        training_page(tmp_path)


def test_names_are_escaped():
    assert "<b>x</b>" not in render(manifest(history(), reward="<b>x</b>"))
