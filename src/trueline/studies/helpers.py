"""The other models that a treatment asks for: its ``targets`` name one for each role (a critic, a base ...)."""

from collections.abc import Mapping

from trueline.core.errors import InputError
from trueline.core.protocols import Target, Treatment

from .spec import TargetSpec
from .subjects import Subject, load_subject

SCRIPTED = "scripted:"


def helper_targets(treatment: Treatment, subject: Subject) -> Mapping[str, Target]:
    """Each role's model: a folder, hub name or ``openai:NAME@BASE_URL``; a scripted critic on the testbed.

    Raises:
        InputError: a model cannot be opened, or a scripted one is asked for off the testbed.
    """
    roles: Mapping[str, str] = getattr(treatment, "targets", {})
    return {role: _open(role, model, subject) for role, model in roles.items()}


def _open(role: str, model: str, subject: Subject) -> Target:
    if not model.startswith(SCRIPTED):
        return load_subject(TargetSpec(model=model)).target
    if role != "critic" or subject.world is None:
        raise InputError(
            f"{role} {model!r}: only a critic is scripted, and only on the testbed; name a model."
        )
    from trueline.testbed.critic import scripted_critic

    try:
        error = float(model.removeprefix(SCRIPTED))
    except ValueError:
        raise InputError(
            f"critic {model!r} must be scripted:RATE, an error rate such as scripted:0.1."
        ) from None
    return scripted_critic(subject.world, error=error)
