"""A chat server on loopback that a test can make answer as another model, fail, or wait."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class StubServer:
    """Answers every conversation with ``text`` under the name ``model``.

    ``seen`` holds the bodies of the requests. Of the n-th (from 1), ``fail(n)`` says whether it gets status
    500 and ``named(n)`` which model answers; those after ``wait_after`` wait until ``gate`` is set.
    """

    def __init__(self) -> None:
        self.text, self.model = "hello there", "tiny"
        self.fail: Callable[[int], bool] = lambda number: False
        self.named: Callable[[int], str] = lambda number: self.model
        self.seen: list[dict[str, Any]] = []
        self.wait_after: int | None = None
        self.gate = threading.Event()
        self._lock = threading.Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with stub._lock:
                    stub.seen.append(body)
                    number = len(stub.seen)
                if stub.wait_after is not None and number > stub.wait_after:
                    stub.gate.wait(30)
                status, headers, data = stub.reply(number, body)
                if not data:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

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
    def address(self) -> str:
        """What a user writes."""
        return f"openai:tiny@http://127.0.0.1:{self.server.server_address[1]}/v1"

    def reply(self, number: int, body: Mapping[str, Any]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for the n-th request; without a body the connection is closed."""
        failed = self.fail(number)
        answer = {"error": {"message": "boom"}} if failed else self.completion(number)
        return 500 if failed else 200, {}, json.dumps(answer).encode()

    def completion(self, number: int) -> dict[str, Any]:
        """The answer to the n-th request."""
        message = {"role": "assistant", "content": self.text}
        return {
            "id": str(number),
            "object": "chat.completion",
            "model": self.named(number),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }

    def close(self) -> None:
        """Stop serving."""
        self.gate.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
