"""lm-eval on given rows: its own task files with other data, its own model class, its own scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


@dataclass(frozen=True)
class HarnessRun:
    """What was asked, the log-likelihood of each request (by document), and the scores."""

    asked: list[list[tuple[str, ...]]]
    logprobs: list[list[float]]
    scores: dict[str, float]
    said: list[str] = field(default_factory=list)


def task_file(name: str) -> dict[str, Any]:
    """One of lm-eval's own task files, by its path below ``tasks``."""
    import lm_eval
    from lm_eval.tasks._yaml_loader import load_yaml

    loaded: dict[str, Any] = load_yaml(Path(lm_eval.__file__).parent / "tasks" / name)
    return loaded


def run_harness(
    model: Any,
    tokenizer: Any,
    config: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    *,
    solved: Sequence[Mapping[str, Any]] = (),
    **options: Any,
) -> HarnessRun:
    """``run_with`` lm-eval's own model class."""
    from lm_eval.models.huggingface import HFLM

    harness = HFLM(pretrained=model, tokenizer=tokenizer, device="cpu", batch_size=4, **options)
    return run_with(harness, config, rows, solved=solved)


def run_with(
    model: Any,
    config: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    *,
    solved: Sequence[Mapping[str, Any]] = (),
    **options: Any,
) -> HarnessRun:
    """``simple_evaluate`` of a task's configuration over ``rows``, after the ``solved`` examples."""
    from datasets import Dataset
    from lm_eval import simple_evaluate
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks import TaskManager

    splits = {"test": Dataset.from_list(list(map(dict, rows)))}
    if solved:
        splits["dev"] = Dataset.from_list(list(map(dict, solved)))
    left_out = ("dataset_path", "dataset_name", "training_split", "validation_split")
    kept = {key: value for key, value in config.items() if key not in left_out}
    task = ConfigurableTask(
        config={**kept, "task": "given", "test_split": "test", "custom_dataset": lambda **_: splits}
    )
    out = simple_evaluate(
        model=model,
        tasks=[task],
        num_fewshot=len(solved),
        task_manager=TaskManager(include_defaults=False),
        bootstrap_iters=0,
        **options,
    )
    samples = sorted(out["samples"]["given"], key=lambda sample: sample["doc_id"])
    return HarnessRun(
        asked=[[tuple(arguments) for arguments in sample["arguments"]] for sample in samples],
        logprobs=[[_number(response[0]) for response in sample["resps"]] for sample in samples]
        if config["output_type"] != "generate_until"
        else [],
        said=[sample["resps"][0][0] for sample in samples]
        if config["output_type"] == "generate_until"
        else [],
        scores={
            name.split(",")[0]: value
            for name, value in out["results"]["given"].items()
            if isinstance(value, float)
        },
    )


def _number(response: Any) -> float:
    return float(response[0] if isinstance(response, (tuple, list)) else response)


def small_model(texts: Sequence[str], *, bos: bool, window: int = 256) -> tuple[Any, Any]:
    """A random Llama and a tokenizer trained on these texts; raw text gets <bos> where it has one."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<pad>", "<bos>", "<eos>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(texts, trainer)
    if bos:
        raw.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    named = {"bos_token": "<bos>"} if bos else {}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", **named)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=window, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    return model.eval(), tokenizer
