"""A target that remembers what it was asked and answers with numbered drafts."""

from trueline.core.messages import Completion, Score
from trueline.core.protocols import Capability


class Echo:
    """Sample i of a request is answered ``draft i``; ``asked`` keeps (prompt, sampling) of each request."""

    name = "echo"
    capabilities = frozenset(Capability)

    def __init__(self):
        self.asked = []

    def fingerprint(self):
        return "echo"

    def describe(self):
        return {"kind": "toy"}

    async def generate(self, prompt, sampling):
        self.asked.append((prompt, sampling))
        return tuple(Completion(text=f"draft {i}", tokens=2) for i in range(sampling.samples))

    async def score(self, prompt, continuations):
        self.asked.append((prompt, None))
        return tuple(Score(token_logprobs=(-1.0,)) for _ in continuations)
