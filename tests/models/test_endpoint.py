"""The endpoint's pure parts: addresses, keys, names, waits, and reading whatever a server may send."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trueline.core.errors import InputError, NotMeasurableError
from trueline.core.messages import Completion, Sampling, assistant, chat, system, user
from trueline.core.protocols import Capability, Target
from trueline.models.endpoints.answers import cut_at_stop, read_chat, read_text
from trueline.models.endpoints.config import EndpointConfig, Tariff, parse_spec
from trueline.models.endpoints.endpoint import EndpointTarget, sample_seed
from trueline.models.endpoints.faults import FaultError, backoff_s, parse_body, retry_after_s
from trueline.models.endpoints.scoring import Echo, branch_scores, read_echo, render

URL = "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("spec", "model", "url"),
    [
        ("openai:gpt-x@https://api.openai.com/v1", "gpt-x", "https://api.openai.com/v1"),
        ("openai:org/name@main@http://localhost:8000/v1", "org/name@main", "http://localhost:8000/v1"),
        ("openai:/srv/models/a b@http://[::1]:8000", "/srv/models/a b", "http://[::1]:8000"),
        ("OpenAI:n@HTTPS://h.example/v1/", "n", "HTTPS://h.example/v1/"),
    ],
)
def test_the_command_line_form(spec: str, model: str, url: str) -> None:
    assert parse_spec(spec) == (model, url)
    target = EndpointTarget.from_spec(spec)
    assert target.name == model and isinstance(target, Target)
    assert target.capabilities == {Capability.GENERATE}


@pytest.mark.parametrize(
    "spec", ["gpt-x@https://a.example", "openai:gpt-x", "openai:@https://a.example", "openai:a@b"]
)
def test_a_wrong_form(spec: str) -> None:
    with pytest.raises(InputError, match="write openai:NAME@BASE_URL"):
        parse_spec(spec)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "http://",
        "http://a.example:99999/v1",
        "http://a.example/?key=1",
        "http://a.example#x",
    ],
)
def test_a_malformed_address(url: str) -> None:
    with pytest.raises(InputError, match="malformed"):
        EndpointConfig(model="m", base_url=url)


def test_secrets_in_the_address_are_refused_and_not_repeated() -> None:
    with pytest.raises(InputError, match="key_env") as caught:
        EndpointConfig(model="m", base_url="https://me:hunter2@a.example/v1")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"model": " "},
        {"timeout_s": 0},
        {"deadline_s": float("nan")},
        {"retries": -1},
        {"concurrency": 0},
        {"extra": {"model": "other"}},
        {"omit": ("messages",)},
        {"omit": ("temprature",)},
        {"extra": {"temperature": 0.3}},
        {"prefill": {"n": 2}},
    ],
)
def test_settings_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        EndpointConfig(**({"model": "m", "base_url": URL} | options))


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:1/v1", True),
        ("http://127.0.0.1/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://192.168.1.5:8000/v1", True),
        ("http://vllm:8000/v1", True),
        ("http://box.local/v1", True),
        ("https://api.openai.com/v1", False),
        ("http://8.8.8.8/v1", False),
        ("https://localhost.evil.example/v1", False),
    ],
)
def test_a_local_server_never_gets_the_real_key(
    url: str, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("MINE", "sk-mine")
    config = EndpointConfig(model="m", base_url=url)
    assert config.is_local is local
    assert config.api_key() == ("local" if local else "sk-real")
    assert EndpointConfig(model="m", base_url=url, key_env="MINE").api_key() == "sk-mine"


@pytest.mark.parametrize("value", [None, "", "sk-ключ", "sk-a\nb"])
def test_a_key_that_is_not_there(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(InputError, match="OPENAI_API_KEY is not") as caught:
        EndpointConfig(model="m", base_url="https://api.openai.com/v1").api_key()
    assert not value or value not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "reported", "same"),
    [
        ("gpt-x", "gpt-x", True),
        ("gpt-x", "gpt-x-2025-08-07", True),
        ("gpt-x", "gpt-x-0613", True),
        ("name-latest", "name-20250219", True),
        ("gpt-x", "gpt-x-mini", False),
        ("gpt-x", "gpt-x-mini-2025-08-07", False),
        ("gpt-x", "gpt-x-32k-0613", False),
        ("gpt-x-2025-08-07", "gpt-x", False),
        ("gpt-x-2025-08-07", "gpt-x-2025-01-01", False),
        ("gpt-x", "", False),
        ("org/name", "org/name@main", True),
        ("org/name", "org/name@abc123", False),
        ("org/name", "other/name", False),
        ("/srv/m/tiny", "/srv/m/tiny@main", True),
        ("/srv/m/tiny/", "/srv/m/tiny", True),
        ("/srv/m/tiny", "tiny", True),
        ("tiny", "/srv/m/tiny", True),
        ("/srv/m/tiny", "/srv/n/tiny", False),
        ("org/tiny", "tiny", False),
        ("gpt-x", "the-alias", True),
    ],
)
def test_names_of_the_same_model(asked: str, reported: str, same: bool) -> None:
    config = EndpointConfig(model=asked, base_url=URL, aliases=("the-alias",))
    assert config.same_model(reported) is same


def test_the_fingerprint_changes_with_what_could_change_answers_and_with_nothing_else() -> None:
    def digest(**options: Any) -> str:
        return EndpointTarget(EndpointConfig(**({"model": "m", "base_url": URL} | options))).fingerprint()

    changed = [
        digest(model="n"),
        digest(base_url="http://127.0.0.1:8001/v1"),
        digest(epoch="2"),
        digest(extra={"top_k": 1}),
        digest(omit=("seed",)),
        digest(prefill={}),
    ]
    assert len({digest(), *changed}) == 7
    assert digest() == digest(timeout_s=3.0, retries=0, concurrency=1, base_url=URL + "/")


def test_openai_itself_gets_the_renamed_token_limit() -> None:
    assert (
        EndpointConfig(model="m", base_url="https://api.openai.com/v1").token_field == "max_completion_tokens"
    )
    assert EndpointConfig(model="m", base_url=URL).token_field == "max_tokens"


def test_cost_by_the_tariff() -> None:
    assert Tariff(prompt=2.5, completion=10.0).cost(1_000_000, 200_000) == pytest.approx(4.5)
    target = EndpointTarget(
        EndpointConfig(model="m", base_url=URL, tariff=Tariff(prompt=1.0, completion=2.0))
    )
    target.usage.prompt_tokens, target.usage.completion_tokens = 3_000_000, 500_000
    assert target.cost() == pytest.approx(4.0)
    target.usage.uncounted = 1
    assert target.cost() is None  # a bound below would read like the price
    assert EndpointTarget(EndpointConfig(model="m", base_url=URL)).cost() is None


def test_waits_double_and_half_of_each_is_random() -> None:
    assert [backoff_s(0.5, attempt, 1.0) for attempt in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert backoff_s(0.5, 3, 0.0) == 1.0
    assert backoff_s(0.5, 99, 1.0) == 60.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2020 07:28:30 GMT"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "inf"}, 0.0),
        ({"retry-after": "soon"}, 0.0),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float) -> None:
    assert retry_after_s(headers, datetime(2026, 10, 21, 7, 28, 0, tzinfo=UTC)) == seconds


def test_seeds_depend_on_seed_prompt_and_index_alone() -> None:
    base = sample_seed(chat("a"), Sampling(seed=1), 0)
    assert base == sample_seed(chat("a"), Sampling(seed=1, samples=5, max_tokens=9, temperature=1.0), 0)
    others = [
        sample_seed(chat("a"), Sampling(seed=1), 1),
        sample_seed(chat("a"), Sampling(seed=2), 0),
        sample_seed(chat("b"), Sampling(seed=1), 0),
    ]
    assert len({base, *others}) == 4 and all(0 <= seed < 2**31 for seed in (base, *others))


def test_text_ends_before_the_first_stop_string() -> None:
    assert cut_at_stop("one two three", ("three", " two")) == "one"
    assert cut_at_stop("one", ("",)) == "one"


WORDS = st.sampled_from(["", "stop", "length", "text", "token", "logprob", "content"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "message",
    "content",
    "refusal",
    "finish_reason",
    "logprobs",
    "text",
    "reasoning_content",
    "tool_calls",
]
CHOICE = st.dictionaries(st.sampled_from(FIELDS), JSON | st.dictionaries(st.sampled_from(FIELDS), JSON))
PAYLOAD = st.fixed_dictionaries(
    {},
    optional={
        "choices": JSON | st.lists(CHOICE, min_size=1, max_size=2),
        "usage": JSON,
        "model": JSON,
        "error": JSON,
    },
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PAYLOAD)
def test_whatever_a_server_sends_is_a_completion_or_a_fault(payload: dict[str, Any]) -> None:
    for read in (read_chat, read_text):
        try:
            completion = read(payload, Sampling())
        except FaultError:
            continue
        assert isinstance(completion, Completion) and isinstance(completion.text, str)
        assert completion.prompt_tokens >= 0 and completion.tokens >= 0


@given(st.binary(max_size=40))
def test_whatever_bytes_a_server_sends_are_an_object_or_a_fault(body: bytes) -> None:
    try:
        assert isinstance(parse_body(body), dict)
    except FaultError as fault:
        assert "its answer is" in fault.words


def echo(tokens: list[str]) -> Echo:
    return Echo(tokens=tuple(tokens), logprobs=(None, *(-float(at) for at in range(1, len(tokens)))))


def test_a_token_merged_across_the_boundary_belongs_to_the_continuation() -> None:
    # "a b" + "c" may be cut as ["a", " bc"]: the trunk is then "a" alone, for all continuations.
    scores = branch_scores(echo(["a", " b"]), [echo(["a", " bc"]), echo(["a", " b", "d", "e"])])
    assert [s.token_logprobs for s in scores] == [(-1.0,), (-1.0, -2.0, -3.0)]
    assert {s.prompt_tokens for s in scores} == {1}
    with pytest.raises(NotMeasurableError, match="empty prompt"):
        branch_scores(echo(["a"]), [echo(["ab"])])


ECHOED = {"text": "a b!", "logprobs": {"tokens": ["a", " b", "!"], "token_logprobs": [None, -1.0, -2.0]}}


def test_the_generated_token_is_not_part_of_the_echo() -> None:
    assert read_echo({"choices": [ECHOED]}, "a b").tokens == ("a", " b")
    for counted in (2, 3):  # a server may leave the generated token out of its list
        usage = {"prompt_tokens": counted, "completion_tokens": 1}
        assert len(read_echo({"choices": [ECHOED], "usage": usage}, "a b").tokens) == counted


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "!", "logprobs": ECHOED["logprobs"]},
        {"text": "a b!", "logprobs": None},
        {"text": "a b!", "logprobs": {"tokens": ["a"], "token_logprobs": []}},
        {"text": "a b!", "logprobs": {"tokens": ["a", "b", "!"], "token_logprobs": [None, None, -1.0]}},
        {
            "text": "a b!",
            "logprobs": {"tokens": ["a", "b", "!"], "token_logprobs": [None, float("nan"), -1.0]},
        },
        {"text": "a b!", "logprobs": {"tokens": ["!"], "token_logprobs": [-1.0]}},
    ],
)
def test_what_is_not_an_echo_is_a_fault(choice: dict[str, Any]) -> None:
    with pytest.raises(FaultError):
        read_echo({"choices": [choice]}, "a b")


def test_conversations_are_scored_only_with_a_template() -> None:
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<a>"
    assert render(template, chat(system("s"), user("u"))) == "<system>s<user>u<a>"
    with pytest.raises(NotMeasurableError, match="template"):
        render(None, chat("u"))
    with pytest.raises(NotMeasurableError, match="prefilled"):
        render(template, chat(user("u"), assistant("a")))
    with pytest.raises(InputError, match="eos_token"):
        render("{{ eos_token }}", chat("u"))
    with pytest.raises(InputError, match="does not fit"):
        render("{{ raise_exception('no system messages') }}", chat("u"))
    with pytest.raises(InputError, match="does not fit"):
        render("{{ ''.__class__.__mro__ }}", chat("u"))  # templates run in a sandbox


def test_json_of_the_description_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    target = EndpointTarget(EndpointConfig(model="m", base_url="https://api.openai.com/v1", epoch="2026-07"))
    described = json.dumps(target.describe())
    assert "sk-real" not in described and "2026-07" in described
