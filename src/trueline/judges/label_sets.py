"""Labelled answers to measure a judge on: public sets by people, one by a model, and a user's own file.

- ``xstest`` (arXiv 2308.01263, CC BY 4.0): 2,250 answers of five models; positive is a refusal, full or
  partial; by people;
- ``hatecheck`` (2012.15606, CC BY 4.0): 3,728 short texts; positive is hateful, the authors' label, which
  annotators confirmed; sources are the groups aimed at, categories the functional tests, clusters templates;
- ``davidson_hate`` (1703.04009, MIT): the fifth of the tweets that ``toxicity_linear`` never saw; positive is
  hate speech or offensive by a majority of people;
- ``truthfulqa`` (2109.07958, Apache-2.0): the authors' true and false answers, each without itself among its
  references; positive is true; clusters are questions;
- ``jailbreakbench`` (2404.01318, MIT): published attempts at 100 behaviours on four models; positive is
  jailbroken *by a model's word*, so agreement with it is no error rate.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueline.core.errors import InputError, unknown_name
from trueline.core.messages import Completion, chat
from trueline.core.verdicts import Item
from trueline.data.loaders import load_json, load_rows
from trueline.data.rows import guess_format, read_rows
from trueline.data.sources import SOURCES, digest, source_sha256
from trueline.data.truthfulqa import truths

from .card import Labelled, Labeller

DATA = "data:"
TRUE, FALSE = frozenset({"1", "true", "yes", "y"}), frozenset({"0", "false", "no", "n"})
COLUMNS = "prompt, completion (or answer, response, text), label, and where known source, category, cluster"
ANSWERS = ("completion", "answer", "response", "text")
# (source name on the card, file name's ending)
XSTEST_MODELS: Mapping[str, str] = {
    "gpt-4": "gpt4",
    "llama-2, original system prompt": "llama2orig",
    "mistral": "mistralinstruct",
    "llama-2, no system prompt (held out)": "llama2new",
    "mistral, safety prompt (held out)": "mistralguard",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """Labelled answers with what their label means, who gave it, and where they come from."""

    name: str
    positive: str
    data: str
    rows: tuple[Labelled, ...]
    labelled_by: Labeller = "people"
    note: str = ""
    digest: str = ""


def label_set(name: str) -> LabelSet:
    """``data:SET``, or a CSV or JSONL file of the user's.

    Raises:
        InputError: an unknown set, data that is not here, or a row that cannot be used (its line is named).
    """
    if not name.startswith(DATA):
        return read_label_file(Path(name))
    short = name.removeprefix(DATA)
    if short not in LABEL_SETS:
        raise unknown_name("label set", short, LABEL_SETS)
    return LABEL_SETS[short]()


def xstest() -> LabelSet:
    """XSTest v2 completions; a source is an answering model, a cluster one prompt."""
    rows = [
        Labelled(
            item=Item(id=row["id"], prompt=chat(row["prompt"]), group=row["type"]),
            completion=Completion(text=row["completion"]),
            label=row["final_label"] != "1_full_compliance",
            source=source,
            category=row["type"],
            cluster=row["id"],
        )
        for source, ending in XSTEST_MODELS.items()
        for row in load_rows("xstest", f"model_completions/xstest_v2_completions_{ending}.csv")
    ]
    return LabelSet(
        name="xstest",
        positive="refusal, full or partial",
        data="XSTest v2 completions with human labels (arXiv 2308.01263, CC BY 4.0)",
        rows=tuple(rows),
        digest=digest("xstest", *(f for f in SOURCES["xstest"].files if "completions" in f)),
    )


def hatecheck() -> LabelSet:
    """HateCheck; texts that aim at no group are a source of their own."""
    rows = [
        _text(
            row["case_id"],
            row["test_case"],
            row["label_gold"] == "hateful",
            source=row["target_ident"] or "no group",
            category=row["functionality"],
            cluster=f"template {row['templ_id']}",
        )
        for row in load_rows("hatecheck", "test_suite_cases.csv")
    ]
    return LabelSet(
        name="hatecheck",
        positive="hateful",
        data="HateCheck test suite (arXiv 2012.15606, CC BY 4.0)",
        note="Hateful is not toxic: its profanity_nh is toxic and not hateful.",
        rows=tuple(rows),
        digest=digest("hatecheck", "test_suite_cases.csv"),
    )


def davidson_hate() -> LabelSet:
    """The held-out fifth; copies of a tweet, retweets aside, are one cluster."""
    from .linear import normalise
    from .toxicity_examples import part_of

    rows = [
        _text(
            row[""],
            row["tweet"],
            row["class"] != "2",
            source="tweets",
            cluster=normalise(row["tweet"]).strip(),
        )
        for row in load_rows("davidson_hate", "labeled_data.csv")
        if part_of(row["tweet"]) == "test"
    ]
    return LabelSet(
        name="davidson_hate",
        positive="hate speech or offensive language",
        data="Davidson et al. 2017, the fifth that toxicity_linear was not trained on (arXiv 1703.04009, MIT)",
        rows=tuple(rows),
        digest=digest("davidson_hate"),
    )


def jailbreakbench() -> LabelSet:
    """JailbreakBench's artifacts; a source is an answering model, a category the attack, a cluster a behaviour."""
    rows = []
    for file in SOURCES["jailbreakbench_artifacts"].files:
        attack, _, name = file.partition("/")
        if "/" not in name:  # descriptions and raw submissions
            continue
        found = load_json("jailbreakbench_artifacts", file)
        model = found["parameters"]["model"]
        for entry in found["jailbreaks"]:
            if entry["response"] is None or entry["jailbroken"] is None:
                continue  # no attempt was submitted for this behaviour
            identity = f"{attack}/{model}/{entry['index']}"
            rows.append(
                Labelled(
                    item=Item(id=identity, prompt=chat(entry["goal"]), group=entry["category"]),
                    completion=Completion(text=entry["response"]),
                    label=bool(entry["jailbroken"]),
                    source=model,
                    category=attack,
                    cluster=entry["behavior"],
                )
            )
    return LabelSet(
        name="jailbreakbench",
        positive="jailbroken (the answer fulfils the harmful request)",
        data="JailbreakBench artifacts (arXiv 2404.01318, MIT)",
        labelled_by="a model",
        note="Labels are a model's: a disagreement may be the label's error.",
        rows=tuple(rows),
        digest=digest("jailbreakbench_artifacts"),
    )


def truthfulqa() -> LabelSet:
    """TruthfulQA's own answers; the others to a question are the references by which one is judged."""
    rows = []
    for number, row in enumerate(truths()):
        for label, own, others in ((True, row.true, row.false), (False, row.false, row.true)):
            for place, answer in enumerate(own):
                left = [*own[:place], *own[place + 1 :]]
                if not left or not others:
                    continue  # nothing would be left to compare with
                true, false = (left, others) if label else (others, left)
                identity = f"truthfulqa/{number}/{label}/{place}"
                data = {"references": {"true": list(true), "false": list(false)}}
                rows.append(
                    Labelled(
                        item=Item(id=identity, prompt=chat(row.question), group=row.category, data=data),
                        completion=Completion(text=answer),
                        label=label,
                        source="the authors' answers",
                        category=row.category,
                        cluster=row.question,
                    )
                )
    return LabelSet(
        name="truthfulqa",
        positive="true",
        data="TruthfulQA's reference answers, each left out of its references (arXiv 2109.07958, Apache-2.0)",
        note="Written by the authors to be plainly true or false: a model's answers are less clear-cut.",
        rows=tuple(rows),
        digest=digest("truthfulqa"),
    )


LABEL_SETS: Mapping[str, Callable[[], LabelSet]] = {
    "xstest": xstest,
    "hatecheck": hatecheck,
    "davidson_hate": davidson_hate,
    "truthfulqa": truthfulqa,
    "jailbreakbench": jailbreakbench,
}


def _text(identity: str, text: str, label: bool, **places: str) -> Labelled:
    """A text that answers nothing."""
    item = Item(id=identity, prompt="")
    return Labelled(item=item, completion=Completion(text=text), label=label, **places)


def read_label_file(path: Path) -> LabelSet:
    """A user's labelled answers: .csv or .jsonl with the columns of ``COLUMNS``; ``label`` is yes or no."""
    numbered = read_rows(path, guess_format(path))
    if not numbered:
        raise InputError(f"{path} holds no rows; it needs {COLUMNS}.")
    return LabelSet(
        name=path.stem,
        positive="as the file's label says",
        data=path.name,
        rows=tuple(_row(path, line, row) for line, row in numbered),
        digest=source_sha256(path),
    )


def _row(path: Path, line: int, row: Mapping[str, Any]) -> Labelled:
    answer = next((row[name] for name in ANSWERS if name in row), None)
    if not isinstance(answer, str) or "label" not in row:
        has = ", ".join(map(str, row)) or "nothing"
        raise InputError(f"{path}, line {line}: a labelled answer needs {COLUMNS}; this row has {has}.")
    prompt = str(row.get("prompt") or "")
    return Labelled(
        item=Item(id=str(row.get("id") or line), prompt=chat(prompt) if prompt else ""),
        completion=Completion(text=answer),
        label=parse_label(row["label"], f"{path}, line {line}"),
        source=str(row.get("source") or "file"),
        category=str(row.get("category") or ""),
        cluster=str(row.get("cluster") or prompt or line),
    )


def parse_label(value: object, where: str) -> bool:
    """Yes or no, as people write it."""
    word = str(value).strip().lower().removesuffix(".0")
    if word in TRUE or word in FALSE:
        return word in TRUE
    raise InputError(f"{where}: the label is {value!r}; write 1 or 0 (yes/no and true/false also do).")
