"""inspect-ai's log format, written through its own classes: one ``.eval`` file a cell, for ``inspect view``.

A Trueline metric is one score of the log: its ``value`` stands with ``low`` and ``high`` as metrics, n and the
missing count as scored and unscored samples, and everything else of the estimate, the paired change included, in
the score's metadata. A verdict is one sample: the conversation, the answers, a score for each metric that the item
counts for, and all named values in its metadata. A missing verdict is an unscored sample with its reason.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trueline.core.errors import MissingExtraError
from trueline.core.fingerprint import fingerprint
from trueline.core.measure import Measure, Metric
from trueline.studies.measuring import planned_class
from trueline.studies.metric_results import MetricResult
from trueline.studies.results import ArmResult, CellResult, StudyResults
from trueline.studies.store import StoredVerdict

EXTRA = "inspect"
ID_LENGTH = 22  # as inspect's own
STOPS = {"stop": "stop", "length": "max_tokens", "content_filter": "content_filter"}


def write_inspect_logs(results: StudyResults, folder: Path) -> list[Path]:
    """Write one log a cell into a folder; returns their paths.

    Raises:
        MissingExtraError: inspect-ai is not installed.
    """
    try:
        from inspect_ai.log import write_eval_log
    except ImportError as error:
        raise MissingExtraError(feature="inspect-ai's log format", extra=EXTRA) from error
    made = datetime.now(UTC)
    arms = {arm.label: arm for arm in results.arms}
    paths = []
    for cell in results.cells:
        log = _Cell(results, arms[cell.arm], cell, made).log()
        stamp = made.strftime("%Y-%m-%dT%H-%M-%S-00-00")
        path = folder / f"{stamp}_{cell.measure}_{log.eval.task_id}.eval"
        write_eval_log(log, path)
        paths.append(path)
    return paths


class _Cell:
    def __init__(self, results: StudyResults, arm: ArmResult, cell: CellResult, made: datetime) -> None:
        self.results, self.arm, self.cell, self.made = results, arm, cell, made
        self.measure: type[Measure] = planned_class(results.plan, cell.measure)
        # A link such as trueline/PATH?treatment=NAME would promise that the arm can be had by that name alone.
        self.model = f"trueline/{arm.label if arm.target in arm.label else f'{arm.target}: {arm.label}'}"

    def log(self) -> Any:
        from inspect_ai.log import EvalError, EvalLog, EvalPlan, EvalPlanStep, EvalStats

        cell = self.cell
        samples = [self._sample(stored) for stored in self.results.stored[cell.key]]
        error = None
        if cell.reason is not None:
            error = EvalError(message=f"not measurable: {cell.reason}", traceback="", traceback_ansi="")
        finished = {"done": "success", "not measurable": "error"}.get(cell.state, "cancelled")
        return EvalLog(
            status=finished,
            eval=self._spec(samples),
            plan=EvalPlan(steps=[EvalPlanStep(solver=cell.attack, params={})]),
            results=self._results(samples),
            stats=EvalStats(
                started_at=self.made.isoformat(),
                completed_at=self.made.isoformat(),
                model_usage=_sum([sample.model_usage for sample in samples]),
            ),
            error=error,
            samples=samples,
        )

    def _spec(self, samples: Sequence[Any]) -> Any:
        from inspect_ai.log import EvalConfig, EvalDataset, EvalSpec

        cell, arm = self.cell, self.arm
        key = fingerprint([cell.key, self.results.name])
        return EvalSpec(
            created=self.made.isoformat(),
            eval_id=key[:ID_LENGTH],
            run_id=fingerprint([self.results.name, self.results.plan.get("hash")])[:ID_LENGTH],
            task=f"{cell.measure}" if cell.attack == "direct" else f"{cell.measure}+{cell.attack}",
            task_id=cell.key[:ID_LENGTH],
            task_version=self.measure.version,
            task_display_name=cell.title,
            task_args=_plain(cell.parameters),
            dataset=EvalDataset(
                name=self.measure.data,
                samples=self._planned(samples),
                sample_ids=[sample.id for sample in samples],
            ),
            model=self.model,
            model_args={"treatment": arm.treatment, "parameters": _plain(arm.parameters), "seed": arm.seed},
            config=EvalConfig(epochs=1),
            packages={name: self.results.versions[name] for name in sorted(self.results.versions)},
            tags=[cell.component, arm.role],
            metadata={
                "study": self.results.name,
                "arm": arm.label,
                "baseline": arm.baseline,
                "attack": cell.attack,
                "paper": cell.paper,
                "caution": cell.caution,
                "uninformative": cell.uninformative,
                "warnings": list(cell.warnings),
                "planned": cell.planned,
                "done": cell.done,
                "missing": cell.missing,
                "reasons": dict(cell.reasons),
                "plan": self.results.plan.get("hash"),
                "provenance": _plain(arm.provenance),
            },
        )

    def _results(self, samples: Sequence[Any]) -> Any:
        from inspect_ai.log import EvalResults

        return EvalResults(
            total_samples=self._planned(samples),
            completed_samples=len(samples),
            scores=[self._score(metric) for metric in self.cell.metrics.values()],
        )

    def _planned(self, samples: Sequence[Any]) -> int:
        """Items and the controls among them, which count in no metric but their own."""
        return self.cell.planned + len(samples) - self.cell.done

    def _score(self, result: MetricResult) -> Any:
        from inspect_ai.log import EvalMetric, EvalScore

        estimate = result.estimate
        told = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        return EvalScore(
            name=result.metric.name,
            scorer=self.cell.measure,
            scored_samples=estimate.n,
            unscored_samples=estimate.missing,
            metrics={
                name: EvalMetric(name=name, value=math.nan if value is None else value)
                for name, value in told.items()
            },
            metadata={
                "definition": result.metric.definition,
                "worse": result.metric.worse,
                "floor": result.metric.floor,
                "headline": result.metric.headline,
                "estimate": asdict(estimate),
                "change": asdict(result.change) if result.change is not None else None,
                "judge alone": asdict(result.judged) if result.judged is not None else None,
                "correction": result.correction,
                "change correction": result.change_correction,
                "family": result.family,
                "p corrected": result.p_adjusted,
                "effect": result.effect,
            },
        )

    def _sample(self, stored: StoredVerdict) -> Any:
        from inspect_ai.log import EvalSample
        from inspect_ai.model import ModelOutput

        verdict = stored.verdict
        turns = [t for key in stored.responses if (t := self.results.store.response(key)) is not None]
        first = turns[0] if turns else None
        messages = [message for request, result in turns for message in _messages(request, result)]
        output = _output(*turns[-1], self.model) if turns else ModelOutput(model=self.model)
        return EvalSample(
            id=verdict.item,
            epoch=1,
            input=_input(first[0]) if first is not None else "",
            choices=list(first[0]["continuations"]) if first is not None and "score" in first[0] else None,
            target="",
            messages=messages,
            output=output,
            scores=dict(self._sample_scores(stored)),
            model_usage=_sum([{self.model: usage} for _, result in turns if (usage := _usage(result))]),
            metadata={
                "values": dict(verdict.values),
                "reason": verdict.reason,
                "group": verdict.group,
                "cluster": verdict.cluster,
                "note": verdict.note,
                "responses": list(stored.responses),
            },
        )

    def _sample_scores(self, stored: StoredVerdict) -> Iterator[tuple[str, Any]]:
        from inspect_ai.scorer import Score

        verdict = stored.verdict
        for result in self.cell.metrics.values():
            metric = result.metric
            if not _counts(metric, verdict.group):
                continue
            if verdict.reason is not None:
                yield metric.name, Score.unscored(reason="no verdict", explanation=verdict.reason)
            elif metric.statistic is not None:
                yield metric.name, Score(value=dict(verdict.values))
            elif (field := metric.field or metric.name) in verdict.values:
                yield metric.name, Score(value=verdict.values[field], answer=verdict.note or None)


def _counts(metric: Metric, group: str) -> bool:
    return metric.applies(group) and (bool(metric.groups) or group != "control")


def _input(request: Mapping[str, Any]) -> Any:
    prompt = request.get("generate", request.get("score"))
    return prompt if isinstance(prompt, str) else [_message(turn) for turn in prompt or ()]


def _messages(request: Mapping[str, Any], result: Any) -> list[Any]:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser

    given = _input(request)
    asked = [ChatMessageUser(content=given)] if isinstance(given, str) else given
    if "score" in request:
        return [*asked, ChatMessageAssistant(content=_ranked(request, result))]
    return [*asked, *(ChatMessageAssistant(content=row["text"]) for row in result)]


def _message(turn: Mapping[str, str]) -> Any:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    kinds = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    return kinds[turn["role"]](content=turn["content"])


def _ranked(request: Mapping[str, Any], result: Any) -> str:
    """Options with their log-likelihoods: nothing was said, so this is what there is to see."""
    sums = [sum(score["token_logprobs"]) for score in result]
    return "\n".join(f"{value:9.3f}  {text}" for text, value in zip(request["continuations"], sums))


def _output(request: Mapping[str, Any], result: Any, model: str) -> Any:
    from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, ModelOutput

    if "score" in request:
        content = _ranked(request, result)
        choices = [ChatCompletionChoice(message=ChatMessageAssistant(content=content), stop_reason="stop")]
    else:
        choices = [
            ChatCompletionChoice(
                message=ChatMessageAssistant(content=row["text"], model=row.get("model")),
                stop_reason=STOPS.get(row.get("finish_reason", "stop"), "unknown"),
            )
            for row in result
        ]
    return ModelOutput(model=model, choices=choices, usage=_usage(result))


def _usage(result: Any) -> Any:
    from inspect_ai.model import ModelUsage

    given = sum(row.get("prompt_tokens", 0) for row in result)
    made = sum(row.get("tokens", 0) for row in result)
    return ModelUsage(input_tokens=given, output_tokens=made, total_tokens=given + made)


def _sum(usages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    from inspect_ai.model import ModelUsage

    total: dict[str, Any] = {}
    for usage in usages:
        for model, more in usage.items():
            have = total.get(model, ModelUsage())
            total[model] = ModelUsage(
                input_tokens=have.input_tokens + more.input_tokens,
                output_tokens=have.output_tokens + more.output_tokens,
                total_tokens=have.total_tokens + more.total_tokens,
            )
    return total


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(dict(value), default=str))
    return made
