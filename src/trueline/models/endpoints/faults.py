"""What can go wrong with a request to an endpoint, and what follows: a retry, no verdict, a user error."""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from trueline.core.errors import InputError, TruelineError, UnfinishedError

from .config import LOCAL_KEY, EndpointConfig

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAIError

LONGEST_BACKOFF_S = 60.0
_LONGEST_QUOTE = 200
_FILTER_CODES = {
    "content_filter",
    "content_policy_violation",
    "invalid_prompt",
    "ResponsibleAIPolicyViolation",
}
_TOO_LONG_CODES = {"context_length_exceeded", "string_above_max_length"}
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")  # an escaped half of a UTF-16 pair, or a whole pair
_RETRIED = {408, 409, 425, 429}

# refused: for load, so fewer requests; timed out: the same, more so; garbled: says nothing about load
FaultKind = Literal["refused", "timed out", "garbled"]


class FaultError(Exception):
    """One attempt failed. Without a ``cure`` another attempt may succeed, after the ``wait_s`` seconds that
    the server asks to wait; with one, only that helps.
    """

    def __init__(
        self, words: str, *, kind: FaultKind = "garbled", cure: str | None = None, wait_s: float = 0.0
    ) -> None:
        super().__init__(words)
        self.words = words
        self.kind = kind
        self.cure = cure
        self.wait_s = wait_s

    def unfinished(self, config: EndpointConfig, attempts: int) -> UnfinishedError:
        """The user's error once no attempt is left."""
        tried = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        return UnfinishedError(
            f"{config.model!r} at {config.url} gave no usable answer in {tried}: {self.words}; "
            f"{self.cure or 'run again to resume once the server is well'}."
        )


class FilteredError(UnfinishedError):
    """The provider's filter rejected the prompt: an outcome of generating, no verdict where one scores."""


def backoff_s(base_s: float, attempt: int, jitter: float) -> float:
    """Wait before attempt ``attempt + 1`` (1, 2, …): doubling from ``base_s``, half of it random
    (``jitter`` in [0, 1)) so that requests refused together do not return together.
    """
    return min(LONGEST_BACKOFF_S, base_s * 2.0 ** min(attempt - 1, 30)) * (0.5 + 0.5 * jitter)


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float:
    """Seconds that the server asks to wait (RFC 9110, section 10.2.3: seconds or a date), or 0."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    try:
        when = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return 0.0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())


def parse_body(body: bytes) -> dict[str, Any]:
    """The JSON object in an answer's body; raises FaultError when it is none."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FaultError(f"its answer is malformed JSON ({len(body)} bytes)") from error
    if not isinstance(payload, dict):
        raise FaultError(f"its answer is a JSON {type(payload).__name__}, not an object")
    mended: dict[str, Any] = _mended(payload) if _HALF.search(body) else payload
    return mended


def _mended(value: Any) -> Any:
    """Halves of UTF-16 pairs, as of an emoji that a token limit cut, become U+FFFD: no text can hold them."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mended(entry) for entry in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(entry) for key, entry in value.items()}
    return value


def translate(error: "OpenAIError", config: EndpointConfig) -> FaultError | FilteredError | TruelineError:
    """What an error of the openai client means here."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        return FaultError(f"no answer within {config.timeout_s:g} s", kind="timed out")
    if isinstance(error, openai.APIConnectionError):
        cause = quote(str(error.__cause__ or error), config)
        return FaultError(f"the connection failed or was cut ({cause})", kind="refused")
    if isinstance(error, openai.APIStatusError):
        return _translate_status(error, config)
    return InputError(f"the openai client refused the request to {config.url}: {quote(str(error), config)}.")


def _translate_status(
    error: "APIStatusError", config: EndpointConfig
) -> FaultError | FilteredError | TruelineError:
    status, code = error.status_code, _code(error)
    words = quote(_message(error), config)
    if code in _FILTER_CODES and status in (400, 403):
        return FilteredError(f"the filter of {config.url} rejected the prompt: {words}; nothing was scored.")
    if status in (401, 403):
        key = config.key_env or ("no key: name one with key_env" if config.is_local else "OPENAI_API_KEY")
        return InputError(f"{config.url} refused the key (HTTP {status}, from {key}): {words}.")
    if status == 404:
        return InputError(
            f"{config.url} knows no model {config.model!r}, or is not the API's base (HTTP 404): {words}."
        )
    if code in _TOO_LONG_CODES or status == 413:
        return FaultError(f"the request is too long for the model ({words})", cure="shorten it")
    if code == "insufficient_quota":
        return FaultError(f"the account's quota is used up ({words})", cure="run again to resume with more")
    if status in _RETRIED or status >= 500:
        wait = retry_after_s(error.response.headers)
        return FaultError(f"HTTP {status} ({words})", kind="refused", wait_s=wait)
    return InputError(
        f"{config.url} rejected the request (HTTP {status}): {words}; see the fields extra and omit."
    )


def quote(words: str, config: EndpointConfig) -> str:
    """A server's words, on one line, short, without the key."""
    text = " ".join(words.split()).rstrip(".")
    if (key := config.api_key()) != LOCAL_KEY:
        text = text.replace(key, "***")
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"


def _fields(error: "APIStatusError") -> Mapping[str, Any]:
    body = error.body
    if isinstance(body, Mapping):
        inner = body.get("error")
        return inner if isinstance(inner, Mapping) else body
    return {}


def _code(error: "APIStatusError") -> str:
    code = _fields(error).get("code")
    return code if isinstance(code, str) else ""


def _message(error: "APIStatusError") -> str:
    for name in ("message", "detail", "error"):
        said = _fields(error).get(name)
        if isinstance(said, str) and said.strip():
            return said
    return "no reason given"
