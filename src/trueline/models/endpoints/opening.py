"""From ``openai:NAME@BASE_URL`` to a target that is ready to be planned with."""

import asyncio
from typing import Any

from trueline.core.protocols import Target
from trueline.models.prompted import PromptedTarget

from .endpoint import EndpointTarget


def open_endpoint(spec: str, *, system_prompt: str | None = None, **options: Any) -> Target:
    """The endpoint, probed once, under a system prompt if one is given; options are those of EndpointConfig.

    Not to be called from a running event loop.

    Raises:
        InputError: the address, a setting or the key cannot be used, or another model answered.
        UnfinishedError: the endpoint stays away.
    """
    target = EndpointTarget.from_spec(spec, **options)
    asyncio.run(target.probe())
    return target if system_prompt is None else PromptedTarget(target, system_prompt)
