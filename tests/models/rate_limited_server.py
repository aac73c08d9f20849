"""A chat server on loopback with a latency and a limit, on the event loop of whoever asks."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class RateLimitedServer:
    """Answers after ``latency_s``; what exceeds ``per_second`` (a bucket of ``burst``) or ``at_once`` gets a 429.

    Counts by itself: ``answered`` and ``refused``, and the loop's time of every answer in ``times``.
    """

    latency_s: float = 0.05
    per_second: float | None = None
    at_once: int | None = None
    burst: float = 10.0
    answered: int = 0
    refused: int = 0
    busy: int = 0
    times: list[float] = field(default_factory=list)
    _credit: float = 0.0
    _credited: float = 0.0

    async def start(self) -> str:
        """Listen; returns the base URL."""
        self._credit, self._credited = self.burst, asyncio.get_running_loop().time()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    def close(self) -> None:
        """Stop listening."""
        self._server.close()

    def rate(self, start: float, end: float) -> float:
        """Answers a second between two of the loop's times."""
        return sum(start <= time < end for time in self.times) / (end - start)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
                await reader.readexactly(int(fields["content-length"]))
                status, body = await self._answer()
                data = json.dumps(body).encode()
                start = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
                writer.write(start.encode() + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has left
        finally:
            writer.close()

    async def _answer(self) -> tuple[str, dict[str, Any]]:
        if self._full():
            self.refused += 1
            return "429 Too Many Requests", {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
        self.busy += 1
        await asyncio.sleep(self.latency_s)
        self.busy -= 1
        self.answered += 1
        self.times.append(asyncio.get_running_loop().time())
        choice = {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
        return "200 OK", {
            "id": str(self.answered),
            "object": "chat.completion",
            "created": 0,
            "model": "tiny",
            "choices": [choice],
            "usage": usage,
        }

    def _full(self) -> bool:
        if self.per_second is not None:
            now = asyncio.get_running_loop().time()
            self._credit = min(self.burst, self._credit + (now - self._credited) * self.per_second)
            self._credited = now
            if self._credit < 1:
                return True
            self._credit -= 1
        return self.at_once is not None and self.busy >= self.at_once
