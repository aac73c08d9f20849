"""Rollouts through vLLM's public interface, against a stand-in that draws with the weights that it was handed."""

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest
import torch
from on_policy import CASES, CONFIG
from training_models import llama, naive_logps
from transformers import AutoConfig, LlamaForCausalLM

from trueline.core.errors import InputError, UnfinishedError
from trueline.core.messages import Sampling
from trueline.models.sampling.jobs import Job
from trueline.models.trees import Tree
from trueline.training import vllm_generating
from trueline.training.adapters import with_adapters
from trueline.training.config import LoraConfig
from trueline.training.generating import ModuleGenerator
from trueline.training.groups import OLD
from trueline.training.scoring import Forward
from trueline.training.vllm_generating import VLLMGenerator, plain_weights, usual_generator

GRPO = CASES["grpo"]
FORWARD = Forward(device=torch.device("cpu"), precision="fp32", budget=1024)


class Engine:
    """What of ``vllm.LLM`` is used."""

    made: "Engine"

    def __init__(self, model, **settings):
        self.settings = settings
        torch.manual_seed(99)  # load_format="dummy": any weights
        self.module = LlamaForCausalLM(AutoConfig.from_pretrained(model)).eval()
        self.resets, self.gives_up = 0, False
        Engine.made = self

    def load_weights(self, weights):
        self.module.load_state_dict(dict(weights))

    def apply_model(self, function):
        return [function(self)]

    def reset_prefix_cache(self):
        self.resets += 1

    def generate(self, prompts, params, use_tqdm):
        return [
            SimpleNamespace(outputs=[self.sample(prompt["prompt_token_ids"], p, i) for i in range(p.n)])
            for prompt, p in zip(prompts, params, strict=True)
        ]

    @torch.no_grad()
    def sample(self, prompt, params, number):
        generator = torch.Generator().manual_seed(params.seed + number)
        tokens, logprobs = [], []
        while len(tokens) < params.max_tokens and not (tokens and tokens[-1] in params.stop_token_ids):
            logps = torch.log_softmax(self.module(torch.tensor([[*prompt, *tokens]])).logits[0, -1], dim=-1)
            token = int(torch.multinomial(logps.exp(), 1, generator=generator))
            tokens.append(token)
            logprobs.append({token: SimpleNamespace(logprob=float(logps[token]))})
        if self.gives_up:
            return SimpleNamespace(token_ids=tokens[:1], logprobs=logprobs[:1], finish_reason="abort")
        return SimpleNamespace(token_ids=tokens, logprobs=logprobs, finish_reason="stop")


@pytest.fixture
def vllm(monkeypatch):
    """A stand-in for the package."""
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = Engine, lambda **settings: SimpleNamespace(**settings)
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setenv(vllm_generating.IN_PROCESS, "1")


def speech(stops=()):
    return SimpleNamespace(
        end_tokens=frozenset({1}), stops=stops, decode=lambda tokens: "".join(f"<{t}>" for t in tokens)
    )


def job(stop=(), limit=8):
    sampling = Sampling(max_tokens=limit, temperature=1.0, samples=3, seed=5, stop=stop)
    return Job(prompt=(2, 4, 9), sampling=sampling, stream=(0, 0), limit=limit)


def started(model, stops=()):
    generator = VLLMGenerator()
    generator.begin(model, speech(stops), FORWARD)
    generator.sync_weights()
    return generator


@pytest.mark.usefixtures("vllm")
def test_draws_carry_the_models_own_log_probabilities():
    model = llama()
    ((*draws,),) = started(model).draw([job()])
    assert len(draws) == 3 and len({draw.tokens for draw in draws}) > 1
    for draw in draws:
        assert (draw.finish == "stop") == (draw.tokens[-1] == 1) and len(draw.tokens) <= 8
        (expected,) = naive_logps(model, Tree(trunk=(2, 4, 9), branches=(draw.tokens,)))
        torch.testing.assert_close(torch.tensor(draw.logprobs).double(), expected, atol=1e-5, rtol=0)


@pytest.mark.usefixtures("vllm")
def test_each_rollout_is_drawn_with_the_newest_weights():
    batches = GRPO.batches(generator=VLLMGenerator())
    run = GRPO.run(GRPO.model(), batches=batches)
    assert Engine.made.resets == CONFIG.steps == len(run.history)
    assert Engine.made.settings["skip_tokenizer_init"] and Engine.made.settings["load_format"] == "dummy"
    # the gap between vLLM's log-probabilities and the trainer's would be far larger under older weights
    assert all(line["mismatch"] < 1e-4 for line in run.history)
    stale = GRPO.batches(generator=VLLMGenerator())
    stale.generator.sync_weights = lambda: None
    assert GRPO.run(GRPO.model(), batches=stale).history[0]["mismatch"] > 0.1


@pytest.mark.usefixtures("vllm")
def test_the_trainer_compares_with_its_own_log_probabilities(monkeypatch):
    def off(self, prompt, params, number, own=Engine.sample):
        sample = own(self, prompt, params, number)
        for seen in sample.logprobs:
            for value in seen.values():
                value.logprob -= 0.25
        return sample

    monkeypatch.setattr(Engine, "sample", off)
    batches, kept = GRPO.batches(generator=VLLMGenerator()), []
    make = batches.batch
    batches.batch = lambda step: kept.append(list(make(step))) or kept[-1]
    run = GRPO.run(GRPO.model(), replace(CONFIG, steps=1), batches=batches)
    assert run.history[0]["mismatch"] == pytest.approx(0.25, abs=1e-4)
    start = GRPO.model()
    for example in kept[0]:
        for old, expected in zip(example.given[OLD], naive_logps(start, example.tree)):
            torch.testing.assert_close(old.double(), expected, atol=1e-4, rtol=0)


@pytest.mark.usefixtures("vllm")
def test_a_stop_text_ends_an_answer_that_vllm_went_on_with():
    model = llama()
    (whole,) = started(model).draw([job()])
    stop = f"<{whole[0].tokens[2]}>"
    (cut,) = started(model, (stop,)).draw([job(stop=(stop,))])
    first = whole[0].tokens.index(whole[0].tokens[2])
    assert cut[0].tokens == whole[0].tokens[: first + 1] and cut[0].finish == "stop"


@pytest.mark.usefixtures("vllm")
def test_an_answer_that_vllm_gives_up_is_no_answer():
    generator = started(llama())
    Engine.made.gives_up = True
    with pytest.raises(UnfinishedError, match=r"gave up an answer after 1 tokens \(abort\)"):
        generator.draw([job()])


def test_weights_have_the_names_of_a_checkpoint_with_adapters_added_in():
    plain, adapted = llama(), llama()
    adapted = with_adapters(adapted, LoraConfig(rank=2), seed=0)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    adapted.get_base_model().value_head = torch.nn.Linear(32, 1)
    weights = dict(plain_weights(adapted))
    assert weights.keys() == plain.state_dict().keys()
    plain.load_state_dict(weights)
    ids = torch.tensor([[2, 4, 9, 7]])
    torch.testing.assert_close(plain(ids).logits, adapted(ids).logits, atol=1e-4, rtol=1e-4)


def test_it_is_chosen_where_it_is_installed_and_one_gpu_trains(monkeypatch):
    assert isinstance(usual_generator(cpu=False), ModuleGenerator)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(vllm_generating, "find_spec", lambda name: object())
    assert isinstance(usual_generator(cpu=False), VLLMGenerator)
    assert isinstance(usual_generator(cpu=True), ModuleGenerator)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert isinstance(usual_generator(cpu=False), ModuleGenerator)


def test_without_vllm_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.setenv(vllm_generating.IN_PROCESS, "1")
    with pytest.raises(InputError, match="vLLM cannot be imported"):
        VLLMGenerator().begin(llama(), speech(), FORWARD)
    with pytest.raises(InputError, match="between 0 and 1"):
        VLLMGenerator(memory_share=1.5)
