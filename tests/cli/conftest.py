import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trueline import catalog

from . import toys
from .running import Answer, done
from .stub_server import StubServer

PAIRS = [{"prompt": f"Hello {n}", "chosen": "hello to you", "rejected": f"go away {n}"} for n in range(4)]
# Every arm, an attack-free and cheap pair of measures: one asks for log-probabilities, one for answers.
TESTBED_STUDY = """
name: small
targets: [testbed]
treatments: [none, self_reminder]
measures: [arc, {name: xstest, max_tokens: 8}]
limit: 12
"""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of the user's, and no hub, is ever reached."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def toy_measures(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The toy measures in the catalogue."""
    for name, place in toys.MEASURES.items():
        monkeypatch.setitem(catalog.MEASURES, name, place)  # type: ignore[arg-type]
    catalog.names.cache_clear()
    yield
    catalog.names.cache_clear()


@pytest.fixture
def server() -> Iterator[StubServer]:
    stub = StubServer()
    yield stub
    stub.close()


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama whose tokens are bytes, as a whole transformers folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("saved") / "model"
    words = ["<pad>", "<bos>", "<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    raw = Tokenizer(models.BPE(vocab={word: n for n, word in enumerate(words)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = LlamaConfig(vocab_size=len(words), max_position_embeddings=256, **shape, **special)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def model(saved_model: Path, tmp_path: Path) -> Path:
    """A copy of the saved model that the test may damage."""
    return Path(shutil.copytree(saved_model, tmp_path / "model"))


@pytest.fixture
def pairs(tmp_path: Path) -> Callable[..., Path]:
    """Writes a preference file, whole or with rows changed."""

    def write(**changes: dict[str, str]) -> Path:
        rows = [{**row, **changes.get(f"row{n}", {})} for n, row in enumerate(PAIRS, 1)]
        path = tmp_path / "pairs.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


@pytest.fixture(scope="session")
def testbed_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """A finished study of the embedded model, and what its run printed."""
    root = tmp_path_factory.mktemp("testbed")
    (root / "study.yaml").write_text(TESTBED_STUDY)
    answer = done("study", "run", root / "study.yaml", "--out", root / "run")
    return root / "run", answer


@pytest.fixture
def testbed_study(testbed_run: tuple[Path, Answer]) -> Path:
    """The folder of the finished study."""
    return testbed_run[0]
