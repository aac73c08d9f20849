"""The names of the formats; imports nothing, so that the command line's help stays quick."""

from enum import StrEnum


class Format(StrEnum):
    """What a study can be written as; JUnit is written by the gate, which has a policy to hold it against."""

    INSPECT = "inspect"
    PARQUET = "parquet"
    MODEL_CARD = "model-card"
