"""What a user says of an endpoint: its address, its name, its key, and what its server can do."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from trueline.core.errors import InputError

_SPEC = re.compile(r"openai:(?P<model>.+?)@(?P<url>https?://.+)", re.IGNORECASE | re.DOTALL)
OMITTABLE = ("temperature", "top_p", "seed", "stop")
_RESERVED = {
    *(
        "model",
        "messages",
        "prompt",
        "stream",
        "n",
        "echo",
        "logprobs",
        "max_tokens",
        "max_completion_tokens",
    ),
    *OMITTABLE,
}
# gpt-x-2025-08-07, name-20250219, gpt-4-0613: a dated version of the name that was asked for
_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|\d{4})")
LOCAL_KEY = "local"  # a local server asks for no key, but the client insists on one
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Price in US dollars per million tokens."""

    prompt: float
    completion: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars for so many tokens."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """An OpenAI-compatible server and how to ask it.

    - ``model`` and ``base_url`` (with its ``/v1`` where the server has one) address it; ``aliases`` are
      further names under which the same model may answer ("" allows answers that name no model).
    - ``key_env`` names the environment variable that holds the key. Without it, ``OPENAI_API_KEY`` is read
      for public hosts only: a local server gets a dummy, never somebody's real key.
    - ``epoch`` is the study's own: an endpoint has no bytes to fingerprint, so answers are kept per epoch.
    - ``completions`` says that the server has ``/completions`` for raw text; ``template`` is the Jinja chat
      template with which conversations are rendered when they are scored there.
    - ``prefill`` are the extra request fields that make the server continue a final assistant message ({}
      where it does so by itself); None says that it cannot, which is so for most servers.
    - ``extra`` fields are added to every request body; ``omit`` names those of OMITTABLE that the server
      refuses.
    - ``timeout_s`` bounds one attempt, ``deadline_s`` one request with all its ``retries``; waits between
      attempts start at ``backoff_s`` and double. ``concurrency`` is the most requests ever under way.
    """

    model: str
    base_url: str
    key_env: str | None = None
    aliases: tuple[str, ...] = ()
    epoch: str = ""
    completions: bool = False
    template: str | None = None
    prefill: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    omit: tuple[str, ...] = ()
    timeout_s: float = 120.0
    deadline_s: float = 600.0
    retries: int = 6
    backoff_s: float = 0.5
    concurrency: int = 64
    tariff: Tariff | None = None

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise InputError("the endpoint's model name is empty; write openai:NAME@BASE_URL.")
        _check_url(self.base_url)
        for name in ("timeout_s", "deadline_s", "backoff_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name)}; allowed is a number of seconds above 0.")
        if self.retries < 0 or self.concurrency < 1:
            raise InputError(
                f"retries is {self.retries} and concurrency is {self.concurrency}; allowed are retries of "
                "at least 0 and a concurrency of at least 1."
            )
        unknown = [name for name in self.omit if name not in OMITTABLE]
        if unknown:
            raise InputError(f"cannot omit the field {unknown[0]!r}; allowed are {', '.join(OMITTABLE)}.")
        reserved = _RESERVED & {*self.extra, *(self.prefill or {})}
        if reserved:
            raise InputError(
                f"the request field {min(reserved)!r} is set by Trueline; leave it out of extra and prefill."
            )

    @property
    def url(self) -> str:
        """The base URL without a trailing slash."""
        return self.base_url.rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether the host is this machine or in a private network."""
        return _is_local(urlsplit(self.base_url).hostname or "")

    @property
    def token_field(self) -> str:
        """The field that limits generated tokens; OpenAI's own hosts have renamed it, others know the old
        name.
        """
        host = urlsplit(self.base_url).hostname or ""
        renamed = host == "api.openai.com" or host.endswith(".openai.azure.com")
        return "max_completion_tokens" if renamed else "max_tokens"

    def api_key(self) -> str:
        """The key from the environment; raises InputError naming the variable when it is needed and not
        set.
        """
        if self.key_env is None and self.is_local:
            return LOCAL_KEY
        name = self.key_env or "OPENAI_API_KEY"
        key = os.environ.get(name, "").strip()
        if not key or not key.isascii() or not key.isprintable():
            state = "not a plain ASCII key" if key else "not set"
            raise InputError(f"the environment variable {name} is {state}; set it to the key for {self.url}.")
        return key

    def same_model(self, reported: str) -> bool:
        """Whether an answer under this name is from the model that was asked for.

        Equal names, a stated alias, a dated version (``gpt-x`` → ``gpt-x-2025-08-07``), the default revision
        (``name`` → ``name@main``), and the bare name of a server-side folder (``/srv/name`` ↔ ``name``).
        """
        if reported in self.aliases:
            return True
        asked, said = _plain(self.model), _plain(reported)
        if not said:
            return False
        if asked == said or ("/" not in said and _is_path(asked) and asked.rsplit("/", 1)[1] == said):
            return True
        if "/" not in asked and _is_path(said) and said.rsplit("/", 1)[1] == asked:
            return True
        stem = asked.removesuffix("-latest")
        return said.startswith(stem) and _DATED.fullmatch(said[len(stem) :]) is not None


def parse_spec(spec: str) -> tuple[str, str]:
    """``openai:NAME@BASE_URL`` → (name, base URL); NAME may itself hold an @ (``name@revision``)."""
    found = _SPEC.fullmatch(spec.strip())
    if found is None:
        raise InputError(
            f"{spec!r} does not name an endpoint; write openai:NAME@BASE_URL, with http:// or https://."
        )
    return found["model"], found["url"]


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port > 0
    except ValueError as error:
        raise InputError(
            f"the base URL {url!r} is malformed ({error}); write http(s)://HOST[:PORT]/v1."
        ) from error
    if parts.username is not None or parts.password is not None:
        raise InputError(
            "the base URL holds a user name or password; keep secrets in an environment variable "
            "and name it as key_env."
        )
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or not port_fits
        or parts.query
        or parts.fragment
    ):
        raise InputError(
            f"the base URL {url!r} is malformed; write http(s)://HOST[:PORT]/v1, without ? or #."
        )


def _is_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_SUFFIXES)
    return address.is_loopback or address.is_private or address.is_link_local


def _is_path(name: str) -> bool:
    return name.startswith(("/", "./", "../", "~/"))


def _plain(name: str) -> str:
    # `transformers serve` reports every model as name@revision, with @main where no revision was asked for.
    return name.strip().removesuffix("@main").rstrip("/")
