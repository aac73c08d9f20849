"""What a measure, attack or treatment asks of a target, against what the target can do."""

from trueline.core.protocols import Capability


def lacking(needs: frozenset[Capability], has: frozenset[Capability]) -> str | None:
    """Why a target with these capabilities cannot be measured, or None."""
    missing = sorted(needs - has)
    return f"the target gives no {' and no '.join(missing)}" if missing else None
