"""Which items a limited study asks: a seeded random choice, in proportion to the groups, the same for all arms."""

from collections.abc import Sequence
from hashlib import sha256

from trueline.core.verdicts import Item

CONTROL = "control"


def select(items: Sequence[Item], limit: int | None, *, seed: int = 0) -> list[Item]:
    """At most ``limit`` items (control items come on top: they tell whether a result says anything).

    The order of an item depends on its id and the seed only, so a smaller limit asks a subset of a larger one
    within each group.
    """
    controls = [item for item in items if item.group == CONTROL]
    asked = [item for item in items if item.group != CONTROL]
    if limit is None or len(asked) <= limit:
        return [*asked, *controls]
    groups: dict[str, list[Item]] = {}
    for item in asked:
        groups.setdefault(item.group, []).append(item)
    quotas = _quotas({name: len(members) for name, members in groups.items()}, limit)
    chosen = [
        item
        for name, members in groups.items()
        for item in sorted(members, key=lambda item: sha256(f"{seed}:{item.id}".encode()).digest())[
            : quotas[name]
        ]
    ]
    return [*chosen, *controls]


def _quotas(sizes: dict[str, int], limit: int) -> dict[str, int]:
    """Largest-remainder shares of ``limit``, at least one a group while the limit allows."""
    total = sum(sizes.values())
    exact = {name: limit * size / total for name, size in sizes.items()}
    quotas = {name: min(sizes[name], max(1, int(share))) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: (int(exact[name]) - exact[name], name))
    while sum(quotas.values()) < limit:
        for name in by_remainder:
            if sum(quotas.values()) < limit and quotas[name] < sizes[name]:
                quotas[name] += 1
    while sum(quotas.values()) > limit:
        largest = max(quotas, key=lambda name: (quotas[name], name))
        quotas[largest] -= 1
    return quotas
