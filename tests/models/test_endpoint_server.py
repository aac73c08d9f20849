"""The endpoint target against a real server (``transformers serve``), and scoring against a real model's
echo.

What this server does, seen in transformers 5.23: it reports the model as ``FOLDER@main``; it ignores
``logprobs`` and ``echo`` without a word (so a probe must see them honoured before they count); it samples
only where the folder's generation settings have ``do_sample``; its seed is the process's, so concurrent
samples share it.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from trueline.core.errors import InputError, NotMeasurableError
from trueline.core.messages import Sampling, assistant, chat, user
from trueline.core.protocols import Capability, Target
from trueline.models.endpoints.endpoint import EndpointTarget

TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two small layers with one token a byte."""
    torch = pytest.importorskip("torch")
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    torch.set_num_threads(1)
    vocabulary = {sign: n for n, sign in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    bytewise = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bytewise, eos_token="<|end|>")
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    model = transformers.LlamaForCausalLM(config)
    model.generation_config = transformers.GenerationConfig(
        do_sample=True, eos_token_id=tokenizer.eos_token_id
    )
    path = tmp_path_factory.mktemp("tiny")
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[str]:
    """``transformers serve`` on a free port; yields its base URL."""
    pytest.importorskip("uvicorn")
    command = shutil.which("transformers", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("the transformers command is not installed beside this Python")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    words = [command, "serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_healthy(f"http://127.0.0.1:{port}/health", process, folder / "server.log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            with opener.open(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


def test_a_real_server_answers(served: str, folder: Path) -> None:
    target = EndpointTarget.from_spec(f"openai:{folder}@{served}", completions=True, concurrency=1)
    assert isinstance(target, Target)
    prompt = chat(user("Say something."))
    before = target.fingerprint()

    async def first_loop() -> None:
        await target.probe()
        # The server takes these fields and ignores them: nothing may be promised on that ground.
        assert target.capabilities == {Capability.GENERATE, Capability.RAW_TEXT}
        with pytest.raises(NotMeasurableError, match="no log-probabilities"):
            await target.score("The cat", (" sat",))
        with pytest.raises(NotMeasurableError, match="prefill"):
            await target.generate(chat(user("hi"), assistant("Sure")), Sampling())

    asyncio.run(first_loop())
    assert target.fingerprint() != before
    assert target.describe()["reported model"] == f"{folder}@main"

    async def second_loop() -> None:
        greedy = Sampling(max_tokens=8)
        (one,), (two,) = await asyncio.gather(
            target.generate(prompt, greedy), target.generate(prompt, greedy)
        )
        assert one == two
        assert (one.outcome, one.finish_reason, one.tokens) == ("truncated", "length", 8)
        assert one.prompt_tokens == len("user: Say something.\nassistant: ")
        sampled = Sampling(max_tokens=8, temperature=1.0, samples=3, seed=1)
        drawn = await target.generate(prompt, sampled)
        assert len({c.text for c in drawn}) == 3  # each sample has its own seed ...
        assert (
            await target.generate(prompt, sampled) == drawn
        )  # ... and the same one again (one request at a time)
        (raw,) = await target.generate("Once upon a time", greedy)
        assert raw.prompt_tokens == len("Once upon a time") and raw.tokens == 8

    asyncio.run(second_loop())
    usage = target.usage
    # The eleventh request is the probe's echo, which was answered with something else.
    assert (usage.answers, usage.requests, usage.retries, usage.failures) == (10, 11, 0, 0)
    assert usage.completion_tokens > 8 * 9 and usage.uncounted == 0


def test_a_real_server_asked_for_a_model_it_does_not_have(served: str) -> None:
    target = EndpointTarget.from_spec(f"openai:other@{served}")
    with pytest.raises(InputError, match=r"HTTP 400.*requested 'other'"):
        asyncio.run(target.generate(chat("hi"), Sampling()))


@pytest.fixture(scope="module")
def echoing(folder: Path) -> Iterator[tuple[str, Any, Any]]:
    """The same model behind a ``/completions`` that honours echo with logprobs: (URL, model, tokenizer)."""
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    lock = threading.Lock()

    def complete(body: dict[str, Any]) -> dict[str, Any]:
        if "prompt" not in body:
            message = {"role": "assistant", "content": "yes"}
            signs = [{"token": sign, "logprob": -0.5} for sign in "yes"]
            choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": signs}}
            return {"model": "tiny", "choices": [choice]}
        ids = tokenizer(body["prompt"])["input_ids"]
        with lock, torch.no_grad():
            logps = model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
        following = int(logps[-1].argmax())
        scores = [None, *(float(logps[at, token]) for at, token in enumerate([*ids[1:], following]))]
        tokens = [tokenizer.decode([token]) for token in [*ids, following]]
        choice = {
            "index": 0,
            "text": body["prompt"] + tokens[-1],
            "finish_reason": "length",
            "logprobs": {"tokens": tokens, "token_logprobs": scores, "top_logprobs": None},
        }
        return {"model": "tiny", "choices": [choice], "system_fingerprint": "fp-7"}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            answer = json.dumps(
                complete(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1", model, tokenizer
    server.shutdown()
    thread.join()
    server.server_close()


def test_scores_from_an_echo_are_the_models_own(echoing: tuple[str, Any, Any]) -> None:
    import torch

    url, model, tokenizer = echoing
    target = EndpointTarget.from_spec(f"openai:tiny@{url}", completions=True, template=TEMPLATE)
    assert Capability.SCORE not in target.capabilities

    async def ask() -> Any:
        await target.probe()
        question = chat("Where is the cat?")
        answers = (" On the mat.", " Nowhere", " On the mat")
        return (
            await target.score("The cat sat", answers),
            await target.score(question, answers),
            await target.generate(question, Sampling()),
        )

    raw, chatted, (completion,) = asyncio.run(ask())
    assert Capability.SCORE in target.capabilities
    assert completion.logprobs == (-0.5, -0.5, -0.5)
    assert completion.tokens == 0 and target.usage.uncounted == target.usage.answers

    def naive(prompt: str, continuation: str) -> list[float]:
        ids = tokenizer(prompt + continuation)["input_ids"]
        with torch.no_grad():
            logps = model(torch.tensor([ids])).logits[0].float().log_softmax(-1)
        start = len(tokenizer(prompt)["input_ids"])
        return [float(logps[at - 1, ids[at]]) for at in range(start, len(ids))]

    for scores, prompt in ((raw, "The cat sat"), (chatted, "user: Where is the cat?\nassistant: ")):
        for score, continuation in zip(scores, (" On the mat.", " Nowhere", " On the mat")):
            assert score.token_logprobs == pytest.approx(naive(prompt, continuation), abs=1e-5)
            assert score.tokens == len(continuation) and score.prompt_tokens == len(prompt)
