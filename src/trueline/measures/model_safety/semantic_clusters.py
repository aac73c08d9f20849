"""Clusters of answers that mean the same, and the entropy over them (Kuhn, Gal, Farquhar 2023, 2302.09664).

N samples, C clusters, N_c samples in cluster c; log-probabilities in nats.
"""

import math
from collections.abc import Awaitable, Callable, Sequence

from trueline.measures.choices import logsumexp


async def meaning_clusters(
    texts: Sequence[str], entails: Callable[[str, str], Awaitable[bool]]
) -> list[list[int]]:
    """Indices by cluster: a text joins the first cluster whose first text it entails and is entailed by."""
    clusters: list[list[int]] = []
    for index, text in enumerate(texts):
        for cluster in clusters:
            first = texts[cluster[0]]
            if text == first or (await entails(first, text) and await entails(text, first)):
                cluster.append(index)
                break
        else:
            clusters.append([index])
    return clusters


def monte_carlo_entropy(
    texts: Sequence[str], logprobs: Sequence[float], clusters: Sequence[Sequence[int]]
) -> float:
    """The paper's estimator −(1/C) Σ_c log p(c), p(c) the summed likelihood of the distinct texts in c.

    A text that was drawn twice counts once, or p(c) could exceed 1.
    """
    logs = []
    for cluster in clusters:
        distinct = {texts[index]: logprobs[index] for index in cluster}
        logs.append(min(0.0, logsumexp(list(distinct.values()))))
    return -sum(logs) / len(logs)


def discrete_entropy(clusters: Sequence[Sequence[int]]) -> float:
    """−Σ_c (N_c/N) log(N_c/N): over the shares of samples, without likelihoods; in [0, log N]."""
    total = sum(map(len, clusters))
    return -sum(len(c) / total * math.log(len(c) / total) for c in clusters)
