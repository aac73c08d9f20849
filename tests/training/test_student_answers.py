"""Distillation on the student's own answers: what is drawn, the loss of MiniLLM by hand, naively and in expectation,
resuming."""

import math
from dataclasses import replace

import pytest
import torch
from chat_codec import codec
from test_every_objective import Killed, gradients_of, lines
from training_models import llama, naive_logps

from trueline.core.errors import InputError
from trueline.core.messages import chat
from trueline.models.trees import Tree
from trueline.training.batches import Example, Scored, SeededBatches
from trueline.training.config import TrainingConfig
from trueline.training.distillation import TEACHER, GKDObjective, TeacherDivergence
from trueline.training.flops import forward_flops, model_size
from trueline.training.generating import ModuleGenerator, draw_job
from trueline.training.groups import OLD
from trueline.training.loop import train
from trueline.training.minillm import (
    FUTURE,
    IMPORTANCE,
    MiniLLMObjective,
    TeacherMixedAnswers,
    future_returns,
)
from trueline.training.mixed_generating import MixedGenerator, mixed
from trueline.training.scoring import Forward
from trueline.training.student_answers import StudentAnswers

CONFIG = TrainingConfig(learning_rate=3e-3, warmup=0.0, schedule="constant", batch_size=4, steps=4)
FORWARD = Forward(device=torch.device("cpu"), precision="fp32", budget=200)


def batches(kind=StudentAnswers, share=1.0, teacher_share=0.2, config=CONFIG, dtype=torch.float32):
    teacher = llama(dtype, seed=5).requires_grad_(False)
    speech = codec()
    prompts = [chat(f"w{i} w{i + 1}") for i in range(10)]
    examples = [
        Example(tree=speech.tree(prompt, ("w30 w31",)), index=index) for index, prompt in enumerate(prompts)
    ]
    more = {} if kind is StudentAnswers else {"generator": MixedGenerator(teacher, teacher_share)}
    return kind(
        given=SeededBatches(
            kind="sequences", examples=examples, batch_size=config.batch_size, limit=config.steps
        ),
        starts={index: speech.start(prompt) for index, prompt in enumerate(prompts)},
        speech=speech,
        teacher=teacher,
        key="t",
        share=share,
        max_tokens=6,
        max_length=64,
        **more,
    )


def objective_of(made, kind=StudentAnswers):
    beta = 0.5 if kind is StudentAnswers else 1.0
    divergence = TeacherDivergence(made.teacher, key="t", beta=beta, temperature=1.0)
    if kind is StudentAnswers:
        return GKDObjective(divergence=divergence, beta=beta)
    return MiniLLMObjective(divergence=divergence)


def run(kind, config=CONFIG, share=1.0, **more):
    model, made = llama().requires_grad_(True), batches(kind, share, config=config)
    return model, train(model, made, objective_of(made, kind), config, **more)


def test_returns_of_later_tokens_by_hand():
    # after the first token −0.2 and 0.4, after the second 0.4, after the last nothing
    found = future_returns(torch.tensor([0.5, -0.2, 0.4], dtype=torch.float64))
    assert found.tolist() == pytest.approx([0.1, 0.4, 0.0])


def test_the_mixture_by_hand():
    teacher, student = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.9, 0.1]]).log()
    assert mixed(teacher, student, 0.2).exp()[0].tolist() == pytest.approx([0.82, 0.18])
    assert mixed(teacher, student, 0.0).exp()[0].tolist() == pytest.approx([0.9, 0.1])


def test_the_expected_gradient_is_that_of_reverse_kl_over_whole_answers():
    # all 16 answers of two tokens over four words: the return of the first token is exactly the second's ratio
    torch.manual_seed(0)
    first, second = (torch.randn(shape, dtype=torch.float64) for shape in ((4,), (4, 4)))
    student = [t.clone().requires_grad_(True) for t in (first, second)]
    teacher = [torch.randn_like(t) for t in (first, second)]

    def logps(tables, i):
        return torch.log_softmax(tables[0], -1), torch.log_softmax(tables[1][i], -1)

    truth, expected = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    objective = MiniLLMObjective(divergence=None)
    for i in range(4):
        for j in range(4):
            q, p = logps(student, i), logps(teacher, i)
            own, theirs = (torch.stack([rows[0][i], rows[1][j]]) for rows in (q, p))
            truth = truth + own.sum().exp() * (own.sum() - theirs.sum())
            divergence = torch.stack([(a.exp() * (a - b)).sum() for a, b in zip(q, p)])
            fixed = own.detach()
            example = Example(
                tree=Tree(trunk=(1,), branches=((i, j),)),
                index=0,
                given={
                    OLD: (fixed,),
                    IMPORTANCE: (torch.ones_like(fixed),),
                    FUTURE: (future_returns(theirs - fixed),),
                },
            )
            scored = Scored(examples=[example], outputs={"divergence": [[divergence]], "logps": [[own]]})
            expected = expected + fixed.sum().exp() * objective.loss(scored, {"tokens": 1.0}).value
    for one, other in zip(
        torch.autograd.grad(truth, student, retain_graph=True), torch.autograd.grad(expected, student)
    ):
        torch.testing.assert_close(other, one)


@pytest.mark.parametrize(("budget", "path"), [(10_000, "tree"), (30, "tree"), (1, "tree"), (10_000, "flat")])
def test_loss_and_gradient_of_minillm_are_the_naive_ones(budget, path):
    made = batches(TeacherMixedAnswers, dtype=torch.float64)
    made.begin(llama(torch.float64), FORWARD, None)
    examples = list(made.batch(0))
    plain, model = (llama(torch.float64, seed=1).requires_grad_(True) for _ in range(2))
    total, tokens = 0.0, sum(example.answer_tokens for example in examples)
    for example in examples:
        ids = torch.tensor([example.tree.trunk + example.tree.branches[0]])
        at = slice(len(example.tree.trunk) - 1, -1)
        q, p = (torch.log_softmax(m(input_ids=ids).logits[0, at], -1) for m in (plain, made.teacher))
        own = naive_logps(plain, example.tree)[0]
        for t in range(example.answer_tokens):
            behaviour, weight, future = (float(example.given[n][0][t]) for n in (OLD, IMPORTANCE, FUTURE))
            ratio = (own[t] - behaviour).exp()
            gain = torch.minimum(ratio * future, ratio.clamp(0.8, 1.2) * future)
            total = total + (weight * (q[t].exp() * (q[t] - p[t])).sum() - gain) / tokens
    total.backward()
    frozen = SeededBatches(kind="sequences", examples=examples, batch_size=4, limit=1)
    config, runs = replace(CONFIG, steps=1, max_grad_norm=1e9, token_budget=budget), []
    objective = objective_of(made, TeacherMixedAnswers)
    gradients = gradients_of(lambda: runs.append(train(model, frozen, objective, config, path=path)), model)
    assert runs[0].history[0]["loss"] == pytest.approx(float(total.detach()), abs=1e-6)
    for name, parameter in plain.named_parameters():
        assert torch.allclose(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6), name


def test_what_a_mixed_answer_carries_is_what_both_models_say_of_it():
    made, student = batches(TeacherMixedAnswers, teacher_share=0.4), llama()
    made.begin(student, FORWARD, None)
    for example in made.batch(0):
        q, p = (naive_logps(model, example.tree)[0] for model in (student, made.teacher))
        behaviour = torch.log(0.4 * p.exp() + 0.6 * q.exp())
        torch.testing.assert_close(example.given[OLD][0].double(), behaviour, atol=1e-4, rtol=0)
        torch.testing.assert_close(
            example.given[IMPORTANCE][0].double(), (q - behaviour).exp(), atol=1e-3, rtol=0
        )
        torch.testing.assert_close(
            example.given[FUTURE][0].double(), future_returns(p - q), atol=1e-3, rtol=0
        )
        assert example.given[TEACHER][0].shape == (example.answer_tokens, 32)


@pytest.mark.parametrize(("share", "passes"), [(0.4, 5), (0.0, 4)])
def test_passes_of_both_models_are_charged(share, passes):
    # student: drawing, its ratios; teacher: drawing where it does, the returns, its states
    made = batches(TeacherMixedAnswers, teacher_share=share)
    made.begin(llama(), FORWARD, None)
    trees = [example.tree for example in made.batch(0)]
    assert made.flops() == passes * forward_flops(model_size(made.teacher), trees)


def test_without_the_teacher_it_draws_what_the_student_draws():
    student, speech = llama(), codec()
    jobs = [
        draw_job(speech.start(chat(f"w{i} w{i + 1}")), seed=i, samples=2, max_tokens=6, stops=())
        for i in range(5)
    ]
    drawn = []
    for generator in (ModuleGenerator(), MixedGenerator(llama(seed=5), 0.0)):
        generator.begin(student, speech, FORWARD)
        drawn.append(generator.draw(jobs))
    for one, other in zip(*drawn):
        assert [draw.tokens for draw in one] == [draw.tokens for draw in other]
        assert [draw.finish for draw in one] == [draw.finish for draw in other]
        for a, b in zip(one, other):
            assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)


def test_a_share_of_the_steps_is_answered_by_the_student():
    config = replace(CONFIG, steps=60)
    made = batches(share=0.3, config=config)
    made.begin(llama(), FORWARD, None)
    own = 0
    for step in range(60):
        examples = made.batch(step)
        figures = made.metrics()
        given = all(example.tree.branches[0] == codec().tree(chat("w1"), ("w30 w31",)).branches[0]
                    for example in examples)  # fmt: skip
        assert given == (figures["own"] == 0)
        assert all(TEACHER in example.given and example.answer_tokens <= 6 for example in examples)
        own += figures["own"]
    # 18 expected, standard deviation 3.5
    assert 8 <= own <= 30
    assert made.flops() > 0 and made.flops() == 0


@pytest.mark.parametrize("kind", [StudentAnswers, TeacherMixedAnswers])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, kind):
    config = replace(CONFIG, steps=5, checkpoint_every=2)

    def die(done, total, words):
        if done == 3:
            raise Killed

    share = 0.6 if kind is StudentAnswers else 1.0
    whole, expected = run(kind, config, share)
    with pytest.raises(Killed):
        run(kind, config, share, checkpoint_folder=tmp_path, progress=die)
    resumed, again = run(kind, config, share, checkpoint_folder=tmp_path)
    assert lines(again) == lines(expected)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters()))


@pytest.mark.parametrize("kind", [StudentAnswers, TeacherMixedAnswers])
def test_the_divergence_falls(kind):
    _, done = run(kind, replace(CONFIG, steps=30, batch_size=8, learning_rate=1e-2))
    values = [line["divergence"] for line in done.history]
    assert sum(values[-5:]) < 0.75 * sum(values[:5])
    assert all(math.isfinite(line["length"]) for line in done.history)


def test_impossible_shares_are_refused():
    with pytest.raises(InputError, match=r"a share of own answers of 1.5"):
        batches(share=1.5)
    with pytest.raises(InputError, match="teacher_share 1 is not allowed"):
        MixedGenerator(llama(), 1)
