"""What the attacks here can count: queries."""

from trueline.core.errors import InputError
from trueline.core.protocols import Budget


def queries_within(budget: Budget, attack: str, queries: int | None) -> int:
    """Queries allowed: the budget's, or the attack's own setting where that is smaller; raises InputError."""
    if budget.seconds is not None or budget.flops is not None:
        raise InputError(
            f"attack {attack!r} counts queries only; give a budget of queries, not of seconds or FLOPs."
        )
    allowed = budget.queries if queries is None else min(queries, budget.queries)
    if allowed < 1:
        raise InputError(f"attack {attack!r} has a budget of {allowed} queries; give 1 or more.")
    return allowed
