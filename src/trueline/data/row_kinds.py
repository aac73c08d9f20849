"""What kind of training data a row is: the meaning of its label, and a name for a user who gave the wrong file.

Example: ``looks_like({"prompt": "Hi", "answer": "Ho"})`` is "demonstrations".
"""

from collections.abc import Mapping
from typing import Any

ANSWER_FIELDS = ("answer", "completion", "response", "output")
CONVERSATION_FIELDS = ("conversations", "messages")
LABELS: Mapping[str, bool] = {
    "forget": False, "harmful": False, "retain": True, "harmless": True,
    "0": False, "1": True, "false": False, "true": True,
}  # fmt: skip


def wanted_of(row: Mapping[str, Any]) -> bool | None:
    """Whether a row's ``label`` says that the text is wanted; None without a label that is known."""
    return LABELS.get(str(row.get("label")).strip().lower())


def looks_like(row: Mapping[str, Any]) -> str | None:
    """The kind of data that has such fields, in the plural; None for none that is known."""
    if "chosen" in row or "rejected" in row:
        return "preference pairs"
    if isinstance(row.get("answers"), list):
        return "ranked lists"
    said = any(row.get(name) for name in (*ANSWER_FIELDS, *CONVERSATION_FIELDS))
    if "label" in row and (said or row.get("text") or row.get("prompt")):
        return "labelled texts"
    return "demonstrations" if said else None
