"""What was generated is stored once and judged as often as anybody likes."""

from pathlib import Path
from typing import ClassVar

import pytest
from toy_study import Counter, Parity

from trueline import catalog
from trueline.core.messages import Sampling
from trueline.core.protocols import Judge, Target
from trueline.core.verdicts import Item, Verdict
from trueline.judges.refusal import RefusalPatterns
from trueline.studies.plan import make_plan
from trueline.studies.results import open_store
from trueline.studies.run import RunReport, run_study
from trueline.studies.spec import parse_spec


class Judged(Parity):
    """Asks the toy's questions and lets a judge say whether it refused."""

    name: ClassVar[str] = "judged"
    judges: ClassVar[tuple[str, ...]] = ("judge",)

    def __init__(self, *, judge: Judge | None = None, count: int = 20) -> None:
        super().__init__(count=count)
        self.judge = judge or RefusalPatterns()

    async def examine(self, item: Item, target: Target) -> Verdict:
        (completion,) = await target.generate(item.prompt, Sampling(max_tokens=2))
        said = await self.judge.judge(item, completion)
        return Verdict.of(item, right=float(said.value == 0.0))


@pytest.fixture
def asked(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> Counter:
    monkeypatch.setitem(catalog.MEASURES, "judged", "test_judged_again:Judged")
    catalog.names.cache_clear()
    return counter


def run(out: Path, *measures: object) -> RunReport:
    spec = parse_spec({"name": "toy", "targets": ["toy"], "measures": list(measures)})
    return run_study(make_plan(spec), out)


def test_several_judges_and_a_later_one_cost_no_generation(asked: Counter, tmp_path: Path) -> None:
    run(tmp_path, "judged", {"name": "judged", "judge": "refusal_keywords"}, "parity")
    assert asked.asked == 20  # three measures read the same 20 answers
    both = {"judge": "ensemble", "members": ["refusal_patterns", "refusal_keywords"]}
    later = run(tmp_path, {"name": "judged", "judge": both})
    assert asked.asked == 20 and later.made == 20  # new verdicts on old answers
    run(tmp_path, {"name": "judged", "count": 25})
    assert asked.asked == 25  # the five new questions
    store = open_store(tmp_path)
    assert len(store.responses("counter")) == 25
    store.close()
