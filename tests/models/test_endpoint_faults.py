"""Faults of an endpoint: each becomes a retried success or one clear error, and never an answer."""

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from trueline.core.errors import InputError, TruelineError, UnfinishedError
from trueline.core.messages import Completion, Sampling, chat
from trueline.models.endpoints.endpoint import EndpointTarget

PROMPT = chat("How can I kill a Python process?")
SAMPLING = Sampling(max_tokens=8)


def answer(text: str = "Use kill.", model: str = "tiny", **message: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "object": "chat.completion",
        "model": model,
        "system_fingerprint": "fp-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text} | message,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def finished(reason: str | None, text: str | None = "Use") -> dict[str, Any]:
    payload = answer()
    payload["choices"][0] |= {"finish_reason": reason, "message": {"role": "assistant", "content": text}}
    return payload


def failure(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "error"} | fields}


@dataclass
class Reply:
    body: Any = field(default_factory=answer)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    after_s: float = 0.0
    drip: bool = False
    reset: bool = False  # the connection, after half of the body

    def bytes(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Stub:
    """Replies in order; the last one is repeated. ``seen`` holds the request bodies."""

    def __init__(self) -> None:
        self.replies: list[Reply] = [Reply()]
        self.seen: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.stop = threading.Event()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                stub.seen.append(json.loads(self.rfile.read(size)) | {"path": self.path})
                stub.seen[-1]["key"] = self.headers["Authorization"]
                stub.times.append(time.monotonic())
                reply = stub.replies.pop(0) if len(stub.replies) > 1 else stub.replies[0]
                stub.stop.wait(reply.after_s)
                body = reply.bytes()
                self.send_response(reply.status)
                for name, value in ({"Content-Type": "application/json"} | reply.headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if reply.reset:
                    self.wfile.write(body[: len(body) // 2])
                    self.wfile.flush()
                    at_once = struct.pack("ii", 1, 0)  # close() then sends RST rather than FIN
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                    self.close_connection = True
                elif reply.cut:
                    self.wfile.write(body[: len(body) // 2])
                    self.close_connection = True
                elif reply.drip:
                    for byte in body:
                        if stub.stop.wait(0.02):
                            return
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                else:
                    self.wfile.write(body)

            def handle(self) -> None:
                try:
                    super().handle()
                except (ConnectionError, ValueError):
                    self.close_connection = True  # the client gave up, as some tests want

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def target(self, **options: Any) -> EndpointTarget:
        options = {"backoff_s": 0.01, "timeout_s": 5.0, "deadline_s": 10.0, "retries": 3} | options
        return EndpointTarget.from_spec(f"openai:tiny@{self.url}", **options)

    def close(self) -> None:
        self.stop.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def stub() -> Iterator[Stub]:
    server = Stub()
    yield server
    server.close()


def ask(target: EndpointTarget, sampling: Sampling = SAMPLING) -> tuple[Completion, ...]:
    return asyncio.run(target.generate(PROMPT, sampling))


def refused(target: EndpointTarget, kind: type[TruelineError]) -> str:
    with pytest.raises(kind) as caught:
        ask(target)
    words = str(caught.value)
    assert "\n" not in words and words.endswith(".") and len(words) < 600
    return words


def test_an_answer_with_its_counts(stub: Stub) -> None:
    target = stub.target()
    (completion,) = ask(target)
    assert (completion.text, completion.outcome) == ("Use kill.", "answered")
    assert (completion.prompt_tokens, completion.tokens, completion.model) == (7, 3, "tiny")
    sent = stub.seen[0]
    assert sent["model"] == "tiny" and sent["max_tokens"] == 8
    assert sent["temperature"] == 0 and sent["top_p"] == 1 and "logprobs" not in sent
    assert sent["messages"] == [{"role": "user", "content": "How can I kill a Python process?"}]
    usage = target.usage
    assert (usage.requests, usage.answers, usage.retries, usage.failures) == (1, 1, 0, 0)
    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 3)


def test_429_waits_as_long_as_the_server_asks(stub: Stub) -> None:
    stub.replies = [Reply(failure("slow down"), 429, {"Retry-After": "0.3"}), Reply()]
    target = stub.target()
    assert ask(target)[0].text == "Use kill."
    assert stub.times[1] - stub.times[0] >= 0.3
    assert (target.usage.requests, target.usage.retries, target.usage.failures) == (2, 1, 0)
    assert target.limit.limit < 4


def test_a_wait_beyond_the_deadline_ends_the_request_at_once(stub: Stub) -> None:
    stub.replies = [Reply(failure("come back tomorrow"), 429, {"Retry-After": "86400"})]
    target = stub.target()
    started = time.monotonic()
    assert "come back tomorrow" in refused(target, UnfinishedError)
    assert time.monotonic() - started < 5
    assert (target.usage.requests, target.usage.failures) == (1, 1)


def test_used_up_quota_is_not_retried(stub: Stub) -> None:
    stub.replies = [Reply(failure("You exceeded your quota", code="insufficient_quota"), 429)]
    target = stub.target()
    assert "quota is used up" in refused(target, UnfinishedError)
    assert target.usage.requests == 1


FAULTS: dict[str, Callable[[], Reply]] = {
    "500": lambda: Reply(failure("boom"), 500),
    "503 with an HTML page": lambda: Reply(b"<html>gateway</html>", 503, {"Content-Type": "text/html"}),
    "a cut body": lambda: Reply(cut=True),
    "malformed JSON": lambda: Reply(b'{"choices": [{"mess'),
    "an HTML page": lambda: Reply(b"<html>hello</html>", 200, {"Content-Type": "text/html"}),
    "an empty body": lambda: Reply(b""),
    "deeply nested JSON": lambda: Reply(b"[" * 200_000),
    "an array": lambda: Reply([1, 2]),
    "no choices": lambda: Reply(answer() | {"choices": []}),
    "choices of null": lambda: Reply(answer() | {"choices": None}),
    "no message": lambda: Reply(answer() | {"choices": [{"index": 0, "finish_reason": "stop"}]}),
    "no content": lambda: Reply(finished("stop", None)),
    "no finish reason": lambda: Reply(finished(None)),
    "an error in a 200 answer": lambda: Reply(failure("upstream failed")),
    "a hang": lambda: Reply(after_s=3.0),
    "a drip": lambda: Reply(drip=True),
    "a reset": lambda: Reply(reset=True),
    "a body that is not the gzip it says": lambda: Reply(headers={"Content-Encoding": "gzip"}),
    "a 200 without a body": lambda: Reply(b"", headers={"Content-Type": "text/plain"}),
    "bytes that are no text": lambda: Reply(bytes(range(256))),
    "a number for a text": lambda: Reply(finished("stop", 1.0)),  # type: ignore[arg-type]
}
SLOW = {"a hang", "a drip"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_passing_fault_is_retried(stub: Stub, name: str) -> None:
    stub.replies = [FAULTS[name](), Reply()]
    target = stub.target(timeout_s=0.5 if name in SLOW else 5.0)
    assert ask(target)[0].text == "Use kill."
    assert (target.usage.requests, target.usage.retries, target.usage.failures) == (2, 1, 0)


@pytest.mark.parametrize("name", FAULTS)
def test_a_lasting_fault_is_no_verdict(stub: Stub, name: str) -> None:
    stub.replies = [FAULTS[name]()]
    target = stub.target(timeout_s=0.2 if name in SLOW else 5.0, retries=1)
    words = refused(target, UnfinishedError)
    assert "'tiny'" in words and stub.url in words and "2 attempts" in words
    usage = target.usage
    assert (usage.requests, usage.retries, usage.failures, usage.answers) == (2, 1, 1, 0)


def test_the_deadline_bounds_the_whole_request(stub: Stub) -> None:
    stub.replies = [Reply(failure("boom"), 500)]
    target = stub.target(deadline_s=0.5, backoff_s=0.1, retries=100)
    started = time.monotonic()
    refused(target, UnfinishedError)
    assert time.monotonic() - started < 1.5
    assert 2 <= target.usage.requests < 10


def test_a_pause_asked_of_one_request_counts_against_the_deadlines_of_all(stub: Stub) -> None:
    target = stub.target(deadline_s=0.6, backoff_s=0.2, retries=5)
    stub.replies = [Reply(failure("boom"), 500), Reply(failure("wait"), 429, {"Retry-After": "0.5"}), Reply()]

    async def both() -> list[Any]:
        requests = (target.generate(chat(text), SAMPLING) for text in ("one", "two"))
        return await asyncio.gather(*requests, return_exceptions=True)

    answers = asyncio.run(both())
    for each in answers:
        assert isinstance(each, UnfinishedError) or each[0].text == "Use kill."
    assert target.usage.failures + target.usage.answers == 2 and target.limit.in_flight == 0


def test_a_server_that_is_not_there() -> None:
    target = EndpointTarget.from_spec("openai:tiny@http://127.0.0.1:9/v1", backoff_s=0.01, retries=2)
    assert "connection failed" in refused(target, UnfinishedError)
    assert (target.usage.requests, target.usage.failures) == (3, 1)


def test_a_server_that_stays_down_costs_one_attempt_a_request_until_it_is_back(stub: Stub) -> None:
    stub.replies = [Reply(failure("boom"), 500)]
    target = stub.target(retries=2)
    for _ in range(3):
        refused(target, UnfinishedError)
    assert target.usage.requests == 9
    refused(target, UnfinishedError)
    assert target.usage.requests == 10
    stub.replies = [Reply()]
    assert ask(target)[0].text == "Use kill."
    stub.replies = [Reply(failure("boom"), 500), Reply()]
    assert ask(target)[0].text == "Use kill."  # retries are back


@pytest.mark.parametrize("status", [401, 403, 404, 400, 422])
def test_what_another_attempt_cannot_change_is_a_user_error(
    stub: Stub, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-123")
    stub.replies = [Reply(failure("bad key sk-secret-123\nor model"), status)]
    target = stub.target(key_env="MY_KEY")
    words = refused(target, InputError)
    assert str(status) in words and "sk-secret" not in words and "bad key ***" in words
    assert target.usage.requests == 1
    assert stub.seen[0]["key"] == "Bearer sk-secret-123"


@pytest.mark.parametrize("model", ["other", "tiny-large", "", None])
def test_another_models_name_is_an_error(stub: Stub, model: str | None) -> None:
    stub.replies = [Reply(answer() | {"model": model})]
    target = stub.target()
    words = refused(target, InputError)
    assert "'tiny'" in words and repr(model or "") in words and "aliases" in words
    assert (target.usage.requests, target.usage.answers, target.usage.failures) == (1, 0, 1)


@pytest.mark.parametrize("model", ["tiny", "tiny@main", "tiny-2025-08-07", "/srv/models/tiny", "small"])
def test_names_of_the_same_model(stub: Stub, model: str) -> None:
    stub.replies = [Reply(answer(model=model))]
    target = stub.target(aliases=("small",))
    assert ask(target)[0].model == model
    assert target.describe()["reported model"] == model


def test_a_model_replaced_in_the_middle_of_a_study_is_an_error(stub: Stub) -> None:
    stub.replies = [Reply(answer(model="tiny-2025-01-01")), Reply(answer(model="tiny-2025-06-01"))]
    target = stub.target()
    ask(target)
    assert "was changed" in refused(target, InputError)


OUTCOMES: dict[str, tuple[Reply, str, str]] = {
    "length": (Reply(finished("length")), "truncated", "Use"),
    "length with nothing said": (Reply(finished("length", None)), "truncated", ""),
    "filtered answer": (Reply(finished("content_filter", None)), "provider-filtered", ""),
    "filtered prompt": (Reply(failure("filtered", code="content_filter"), 400), "provider-filtered", ""),
    "refusal": (Reply(answer(None, refusal="I can't help.")), "model-refused", "I can't help."),  # type: ignore[arg-type]
    "an empty answer": (Reply(finished("stop", "")), "answered", ""),
    "half an emoji": (Reply(finished("length", "Use \ud83d")), "truncated", "Use \ufffd"),
    "a whole emoji": (Reply(finished("stop", "\U0001f600")), "answered", "\U0001f600"),
    "parts": (Reply(finished("stop", [{"type": "text", "text": "Use"}])), "answered", "Use"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_outcomes(stub: Stub, name: str) -> None:
    reply, outcome, text = OUTCOMES[name]
    stub.replies = [reply]
    target = stub.target()
    (completion,) = ask(target)
    assert (completion.outcome, completion.text) == (outcome, text)
    assert target.usage.requests == target.usage.answers == 1 and target.usage.failures == 0


def test_a_filtered_probe_is_no_answer(stub: Stub) -> None:
    stub.replies = [Reply(failure("filtered", code="content_filter"), 400)]
    with pytest.raises(UnfinishedError, match="rejected the prompt: filtered; nothing was scored"):
        asyncio.run(stub.target().probe())


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_apart(stub: Stub, name: str) -> None:
    stub.replies = [Reply(answer("Use kill.", **{name: "The user means a program."}))]
    (completion,) = ask(stub.target())
    assert (completion.text, completion.reasoning) == ("Use kill.", "The user means a program.")


def test_a_request_too_long_costs_only_its_own_verdict(stub: Stub) -> None:
    stub.replies = [Reply(failure("maximum context", code="context_length_exceeded"), 400)]
    assert "too long" in refused(stub.target(), UnfinishedError)


def test_samples_are_requests_of_their_own_with_their_own_seeds(stub: Stub) -> None:
    target = stub.target()
    completions = ask(target, Sampling(max_tokens=8, temperature=1.0, samples=5, stop=(" ",)))
    assert [c.text for c in completions] == ["Use"] * 5 and completions[0].raw == "Use kill."
    seeds = [sent["seed"] for sent in stub.seen]
    assert len(set(seeds)) == 5 and all(0 <= seed < 2**31 for seed in seeds)
    again = ask(target, Sampling(max_tokens=8, temperature=1.0, samples=5, stop=(" ",)))
    assert len(again) == 5 and sorted(sent["seed"] for sent in stub.seen[5:]) == sorted(seeds)
    assert target.usage.requests == 10 and target.limit.peak <= 64


def test_one_lost_sample_loses_the_request_but_leaves_nothing_running(stub: Stub) -> None:
    stub.replies = [Reply(), Reply(failure("no such field"), 422), Reply()]
    target = stub.target()
    with pytest.raises(InputError):
        ask(target, Sampling(samples=3))
    assert target.usage.requests == 3 and target.limit.in_flight == 0


def test_extra_and_omitted_fields(stub: Stub) -> None:
    target = stub.target(extra={"chat_template_kwargs": {"enable_thinking": False}}, omit=("seed",))
    ask(target)
    assert stub.seen[0]["chat_template_kwargs"] == {"enable_thinking": False} and "seed" not in stub.seen[0]


def test_the_same_target_serves_several_event_loops(stub: Stub) -> None:
    target = stub.target()
    for _ in range(3):
        assert ask(target)[0].text == "Use kill."
    assert target.usage.answers == 3

    async def cancelled() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await target.generate(PROMPT, Sampling(samples=6))

    stub.replies = [Reply(after_s=0.5)]
    asyncio.run(cancelled())
    assert target.limit.in_flight == 0
    stub.replies = [Reply()]
    assert len(ask(target, Sampling(samples=6))) == 6


def test_many_requests_stay_within_the_limit_and_none_is_lost(stub: Stub) -> None:
    async def everyone(target: EndpointTarget) -> list[tuple[Completion, ...]]:
        return await asyncio.gather(*(target.generate(chat(f"{i}?"), SAMPLING) for i in range(40)))

    stub.replies = [Reply(after_s=0.01)]
    target = stub.target(concurrency=6)
    assert len(asyncio.run(everyone(target))) == 40
    assert 4 <= target.limit.peak <= 6 and target.usage.failures == 0
