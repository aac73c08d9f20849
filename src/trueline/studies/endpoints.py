"""What a study file may say of an endpoint beside its address."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from trueline.core.fingerprint import canonical


class EndpointOptions(BaseModel):
    """How to ask an endpoint; what is left out has the default of models.endpoints.config.EndpointConfig.

    ``key_env`` names the environment variable with the key, ``aliases`` are further names under which the
    same model may answer, ``completions`` says that the server continues raw text (and, where it echoes
    log-probabilities, scores; conversations then need their Jinja ``template``), ``prefill`` are the request
    fields that make it continue a prefilled answer, ``extra`` fields go into every request, ``omit`` names
    fields that the server refuses. Answers are kept apart by ``epoch``, by default the study's name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    key_env: str | None = None
    aliases: tuple[str, ...] | None = None
    epoch: str | None = None
    completions: bool | None = None
    template: str | None = None
    prefill: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] | None = None
    omit: tuple[str, ...] | None = None
    timeout_s: float | None = Field(default=None, gt=0)
    deadline_s: float | None = Field(default=None, gt=0)
    backoff_s: float | None = Field(default=None, gt=0)
    retries: int | None = Field(default=None, ge=0)
    concurrency: int | None = Field(default=None, ge=1)

    def __hash__(self) -> int:
        return hash(canonical(self.model_dump(mode="json")))

    def given(self) -> dict[str, Any]:
        """The options that were given."""
        return {name: value for name, value in self.model_dump().items() if value is not None}
