"""What inspect-ai finds by the entry point ``inspect_ai``: the provider ``trueline``, imported when it is chosen.

Example: ``inspect eval TASK --model "trueline/testbed?treatment=self_reminder"``
"""

from typing import Any

from inspect_ai.model import modelapi


def _provider() -> Any:
    from .inspect_provider import TruelineAPI

    return TruelineAPI


trueline = modelapi(name="trueline")(_provider)
