"""A local target answers and scores as its model does, and its fingerprint covers all that could change that."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from local_models import TEMPLATE, Shift, byte_tokenizer, tiny_llama

from trueline.core.errors import InputError, NotMeasurableError
from trueline.core.fingerprint import canonical
from trueline.core.messages import Completion, Prompt, Sampling, assistant, chat
from trueline.core.protocols import Capability, Target
from trueline.models.engine import Engine
from trueline.models.local import LocalTarget

Folder = Callable[[str], Path]


def memory_target(*, model: Any = None, tokenizer: Any = None, **options: Any) -> LocalTarget:
    model = tiny_llama() if model is None else model
    return LocalTarget.from_module(
        model, tokenizer or byte_tokenizer(), name="tiny", engine=Engine(), **options
    )


def answer(target: LocalTarget, prompt: Prompt, **sampling: Any) -> Completion:
    return asyncio.run(target.generate(prompt, Sampling(**{"max_tokens": 6} | sampling)))[0]


def naive_logprobs(model: Any, tokens: list[int], start: int) -> list[float]:
    with torch.no_grad():
        logps = torch.log_softmax(model(input_ids=torch.tensor([tokens])).logits[0].float(), -1)
    return [float(logps[at - 1, tokens[at]]) for at in range(start, len(tokens))]


def test_it_is_a_target_with_every_capability() -> None:
    target = memory_target()
    assert isinstance(target, Target)
    assert target.capabilities == frozenset(Capability)


def test_greedy_answers_are_transformers_own() -> None:
    model, tokenizer = tiny_llama(), byte_tokenizer()
    target = memory_target(model=model)
    prompt = tokenizer("<bos><user>hi<assistant>", add_special_tokens=False, return_tensors="pt").input_ids
    theirs = model.generate(prompt, max_new_tokens=6, do_sample=False)[0, prompt.shape[1] :].tolist()
    ours = answer(target, chat("hi"))
    assert list(ours.token_ids) == theirs
    assert ours.prompt_tokens == prompt.shape[1]
    assert ours.tokens == 6
    assert (ours.finish_reason, ours.outcome) == ("length", "truncated")


def test_raw_text_gets_a_beginning_token_where_the_tokenizer_adds_one() -> None:
    assert memory_target().encoding.encode("ab")[0] == 1
    assert memory_target(tokenizer=byte_tokenizer(bos=False)).encoding.encode("ab")[0] != 1
    assert memory_target().encoding.encode(chat("ab")).count(1) == 1  # the template's own, not doubled


def test_an_answer_ends_at_an_end_token_which_is_counted_but_not_shown() -> None:
    model = tiny_llama()
    with torch.no_grad():
        model.lm_head.weight.zero_()  # every logit is zero: the first token of all, <pad>, is greedy
    model.generation_config.eos_token_id = [2, 0]
    completion = answer(memory_target(model=model), "x")
    assert (completion.text, completion.token_ids) == ("", (0,))
    assert (completion.finish_reason, completion.outcome) == ("stop", "answered")


def test_a_stop_string_ends_the_answer_and_raw_keeps_it() -> None:
    target = memory_target()
    whole = answer(target, "hello", temperature=1.0, max_tokens=12).text
    cut = answer(target, "hello", temperature=1.0, max_tokens=12, stop=(whole[4:6],))
    assert cut.text == whole[:4]
    assert cut.raw == whole[:6]
    assert cut.finish_reason == "stop"


def test_a_prefill_is_continued_and_not_repeated() -> None:
    target = memory_target()
    forced = answer(target, chat("hi", assistant("Sure")))
    assert forced.prompt_tokens == answer(target, chat("hi")).prompt_tokens + 4
    assert not forced.text.startswith("Sure")


def test_samples_differ_and_the_same_seed_repeats_them() -> None:
    target, settings = memory_target(), Sampling(max_tokens=8, temperature=1.0, samples=4, seed=3)
    first = asyncio.run(target.generate("x", settings))
    assert len({c.text for c in first}) == 4
    assert asyncio.run(target.generate("x", settings)) == first
    other = asyncio.run(target.generate("x", Sampling(max_tokens=8, temperature=1.0, samples=4, seed=4)))
    assert {c.text for c in other}.isdisjoint(c.text for c in first)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"max_tokens": 0}, "max_tokens=0"), ({"samples": 0}, "samples=0"), ({"temperature": -1.0}, "temperature"),
     ({"top_p": 0.0}, "top_p"), ({"stop": ("",)}, "empty stop")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        answer(memory_target(), "x", **wrong)


def test_scores_equal_a_plain_forward_pass() -> None:
    model, tokenizer = tiny_llama(), byte_tokenizer()
    target = memory_target(model=model)
    for prompt, text in (("ab", "ab"), (chat("ab"), "<bos><user>ab<assistant>")):
        start = len(tokenizer(text, add_special_tokens=not isinstance(prompt, tuple)).input_ids)
        scores = asyncio.run(target.score(prompt, ["c", "cde", ""]))
        for continuation, score in zip(["c", "cde", ""], scores):
            whole = tokenizer(text + continuation, add_special_tokens=not isinstance(prompt, tuple)).input_ids
            assert score.prompt_tokens == start
            assert score.token_logprobs == pytest.approx(naive_logprobs(model, whole, start), abs=1e-4)


def test_moments_are_those_of_the_vocabulary() -> None:
    model, tokenizer = tiny_llama(), byte_tokenizer()
    target = memory_target(model=model)
    plain = asyncio.run(target.score("ab", ["c", "cde"]))
    scores = asyncio.run(target.score_with_moments("ab", ["c", "cde"]))
    start = len(tokenizer("ab").input_ids)
    for continuation, score, other in zip(["c", "cde"], scores, plain):
        whole = tokenizer("ab" + continuation).input_ids
        with torch.no_grad():
            logps = torch.log_softmax(model(input_ids=torch.tensor([whole])).logits[0].double(), -1)[
                start - 1 : -1
            ]
        mean = (logps.exp() * logps).sum(-1)
        variance = (logps.exp() * logps**2).sum(-1) - mean**2
        assert score.token_logprobs == pytest.approx(other.token_logprobs, abs=1e-5)
        assert (score.prompt_tokens, other.moments) == (other.prompt_tokens, ())
        assert [m for m, _ in score.moments] == pytest.approx(mean.tolist(), abs=1e-4)
        assert [v for _, v in score.moments] == pytest.approx(variance.tolist(), abs=1e-4)
    assert asyncio.run(target.score_with_moments("ab", [])) == ()


def test_tokens_that_merge_over_the_boundary_belong_to_the_continuation() -> None:
    tokenizer = byte_tokenizer(merges=["b c"])
    model = tiny_llama()
    (merged,) = asyncio.run(memory_target(model=model, tokenizer=tokenizer).score("ab", ["cd"]))
    whole = tokenizer("abcd").input_ids  # <bos> a bc d
    assert len(whole) == 4
    assert merged.prompt_tokens == 2
    assert merged.token_logprobs == pytest.approx(naive_logprobs(model, whole, 2), abs=1e-4)


def test_a_document_is_scored_after_nothing() -> None:
    model = tiny_llama()
    for tokenizer, unscored in ((byte_tokenizer(), [1]), (byte_tokenizer(bos=False), [])):
        (score,) = asyncio.run(memory_target(model=model, tokenizer=tokenizer).score("", ["abcd"]))
        whole = [*unscored, *tokenizer("abcd", add_special_tokens=False).input_ids]
        assert score.token_logprobs == pytest.approx(naive_logprobs(model, whole, 1), abs=1e-4)


def test_documents_that_share_no_first_token_cannot_be_scored_without_a_beginning() -> None:
    target = memory_target(tokenizer=byte_tokenizer(bos=False))
    with pytest.raises(NotMeasurableError, match="share no first token"):
        asyncio.run(target.score("", ["ab", "cd"]))
    with pytest.raises(NotMeasurableError, match="empty prompt"):
        answer(target, "")


def test_a_prompt_beyond_the_window_fails_alone() -> None:
    target = memory_target()

    async def both() -> list[Any]:
        calls = [target.generate("x" * n, Sampling(max_tokens=20)) for n in (300, 5, 246)]
        return await asyncio.gather(*calls, target.score("y" * 300, ["z"]), return_exceptions=True)

    long, short, near, scored = asyncio.run(both())
    assert isinstance(long, NotMeasurableError) and "301 tokens" in str(long) and "256" in str(long)
    assert short[0].tokens == 20
    assert (near[0].tokens, near[0].finish_reason) == (9, "length")
    assert isinstance(scored, NotMeasurableError) and "302 tokens" in str(scored)


def test_steered_and_plain_requests_interleaved_equal_separate_runs() -> None:
    plain = memory_target()
    steered = plain.with_intervention(Shift(0.5))
    twice = steered.with_intervention(Shift(-2.0, layer=1))
    targets = (plain, steered, twice)
    settings = Sampling(max_tokens=8, temperature=1.0, samples=2)
    prompts = [f"prompt {n}" for n in range(5)]

    async def mixed() -> list[Any]:
        asked = [t.generate(p, settings) for p in prompts for t in targets]
        return await asyncio.gather(*asked, *(t.score(p, ["a", "b"]) for p in prompts for t in targets))

    async def separate() -> list[Any]:
        found = {}
        for t in targets:
            for p in prompts:
                found[p, t] = (await t.generate(p, settings), await t.score(p, ["a", "b"]))
        keys = [(p, t) for p in prompts for t in targets]
        return [found[key][0] for key in keys] + [found[key][1] for key in keys]

    for a, b in zip(asyncio.run(mixed()), asyncio.run(separate()), strict=True):
        for x, y in zip(a, b, strict=True):
            if isinstance(x, Completion):
                assert x.token_ids == y.token_ids
                assert x.logprobs == pytest.approx(y.logprobs, abs=1e-4)
            else:
                assert x.token_logprobs == pytest.approx(y.token_logprobs, abs=1e-4)
    assert answer(plain, "p").token_ids != answer(steered, "p").token_ids
    assert not plain.model.model.layers[0]._forward_hooks


def test_hidden_states_and_gradients_come_through_on_module() -> None:
    target = memory_target()
    steered = target.with_intervention(Shift(1.0, layer=1))

    def states(model: Any) -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = model(torch.tensor([[5, 6]]), output_hidden_states=True).hidden_states[1]
        return found

    def gradient(model: Any) -> float:
        embedded = model.get_input_embeddings()(torch.tensor([[5, 6]])).detach().requires_grad_()
        model(inputs_embeds=embedded).logits.sum().backward()
        return float(embedded.grad.abs().sum())

    async def both() -> tuple[Any, ...]:
        return await asyncio.gather(*(t.on_module(f) for t in (target, steered) for f in (states, gradient)))

    plain_states, plain_gradient, steered_states, steered_gradient = asyncio.run(both())
    assert torch.equal(plain_states, steered_states)  # layer 1 comes after the state that was read
    assert plain_gradient > 0 and plain_gradient != steered_gradient


def test_reasoning_is_kept_apart_where_the_format_has_it() -> None:
    tokenizer = byte_tokenizer(template=TEMPLATE + "{# <think> #}")
    target = memory_target(tokenizer=tokenizer)
    assert target.encoding.template.reasons
    assert answer(target, chat("hi")).reasoning is None


def test_the_fingerprint_covers_everything(model_folder: Folder) -> None:
    folder = model_folder("one")

    def load(**options: Any) -> LocalTarget:
        return LocalTarget.from_pretrained(folder, engine=Engine(), **options)

    base = load()
    variants = [
        base,
        load(dtype="bfloat16"),
        base.with_system_prompt("Be kind."),
        base.with_intervention(Shift(1.0)),
        base.with_intervention(Shift(2.0)),
        LocalTarget.from_pretrained(model_folder("two"), engine=Engine()),
    ]
    digests = {target.fingerprint() for target in variants}
    assert len(digests) == len(variants)
    assert load().fingerprint() == base.fingerprint()
    assert load(dtype="float32").fingerprint() == base.fingerprint()  # as stored
    assert load(name="another name").fingerprint() == base.fingerprint()

    def changed(name: str, edit: Callable[[bytes], bytes]) -> str:
        file = folder / name
        before = file.read_bytes()
        file.write_bytes(edit(before))
        digest = load().fingerprint()
        file.write_bytes(before)
        return digest

    for name, edit in (
        ("model.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        ("chat_template.jinja", lambda data: data + b" "),
        ("tokenizer_config.json", lambda data: data + b" "),
        ("generation_config.json", lambda data: json.dumps(json.loads(data) | {"eos_token_id": 5}).encode()),
    ):
        digests.add(changed(name, edit))
    assert len(digests) == len(variants) + 4
    assert load().fingerprint() == base.fingerprint()


def test_one_changed_weight_of_a_module_changes_its_fingerprint() -> None:
    model = tiny_llama()
    target = memory_target(model=model)
    before = target.fingerprint()
    assert memory_target(model=tiny_llama()).fingerprint() == before
    with torch.no_grad():
        model.model.norm.weight[3] += 1e-3
    assert target.fingerprint() != before


def test_describe_is_json_and_names_what_was_in_force(model_folder: Folder) -> None:
    folder = model_folder("one")
    target = LocalTarget.from_pretrained(folder, engine=Engine()).with_system_prompt("Be kind.")
    told = target.describe()
    assert json.loads(canonical(told)) == told
    assert told["system_prompt"] == "Be kind."
    assert told["preamble"] == "<bos><user>"
    assert told["parameters"] == sum(p.numel() for p in tiny_llama().parameters())
    assert told["generation"]["end_tokens"] == [2]
    assert told["context_window"] == 256
    assert (told["dtype"], told["name"], told["fingerprint"]) == ("float32", "one", target.fingerprint())


def test_a_folder_and_a_module_with_the_same_weights_answer_alike(model_folder: Folder) -> None:
    folder = LocalTarget.from_pretrained(model_folder("one"), engine=Engine())
    module = memory_target(model=tiny_llama(seed=1))
    assert answer(folder, chat("hi")).token_ids == answer(module, chat("hi")).token_ids
    assert folder.model is folder.model
    assert not folder.model.training
