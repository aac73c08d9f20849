"""Subjects: a target with the items and judges that fit it (public data for real models, a world for the testbed)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueline.catalog import make
from trueline.core.building import build
from trueline.core.errors import InputError
from trueline.core.measure import Measure
from trueline.core.protocols import Target
from trueline.core.verdicts import Item
from trueline.models.recorded import RECORDED, open_recorded

from .judging import build_parameter
from .measuring import measure_class
from .spec import Named, TargetSpec, Tariff

if TYPE_CHECKING:
    from trueline.testbed.world import World

TESTBED = "testbed"
INSPECT = "inspect:"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A target, and the testbed world it learnt if it is a testbed model."""

    target: Target
    world: "World | None" = field(default=None, repr=False)

    def measure(self, spec: Named) -> Measure:
        """The measure with the user's parameters, its judges built from their names; on the world's own items with
        the world's exact judges where the user names none."""
        cls = measure_class(spec.name, spec.file)
        accepted = getattr(cls, "judges", ())
        given = {**getattr(cls, "judged_with", {}), **spec.parameters}
        parameters = {
            name: build_parameter(name, value) if name in accepted else value for name, value in given.items()
        }
        if self.world is not None and cls.testbed is not None:
            from trueline.testbed.judges import exact_judges

            parameters = {
                **{k: v for k, v in exact_judges(self.world).items() if k in accepted},
                **parameters,
            }
        if getattr(cls, "compares", False):
            parameters = {"reference": self.target, **parameters}
        measure: Measure = build("measure", spec.name, cls, parameters)
        return measure

    def items(self, measure: Measure) -> Sequence[Item]:
        """The measure's items for this subject; its own on the testbed too, if that has none for it."""
        if self.world is None or measure.testbed is None:
            return measure.items()
        from trueline.testbed.items import items

        return items(self.world, measure.testbed)

    def attack(self, spec: Named) -> Any:
        """The attack with the user's parameters; on the testbed its templates speak the world's language."""
        parameters = dict(spec.parameters)
        if self.world is not None:
            from trueline.testbed.items import attack_parameters

            parameters = {**attack_parameters(spec.name), **parameters}
        return make("attack", spec.name, parameters)

    @cached_property
    def reward(self) -> Any:
        """The gold reward of the testbed, or None."""
        if self.world is None:
            return None
        from trueline.testbed.gold import GoldReward

        return GoldReward(self.world)

    @cached_property
    def cost(self) -> Any:
        """The harm of answers on the testbed, or None."""
        if self.world is None:
            return None
        from trueline.testbed.gold import CostOfHarm

        return CostOfHarm(self.world)


def load_subject(spec: TargetSpec) -> Subject:
    """Load what a target specification names.

    Raises:
        InputError: the folder, hub name or address cannot be used, or an option does not fit it.
        UnfinishedError: an endpoint stays away.
    """
    if spec.is_endpoint:
        _refuse(spec, "is served elsewhere", "dtype", "device", "quantize", "cut")
        options = spec.endpoint.given() if spec.endpoint else {}
        if spec.model.lower().startswith(INSPECT):
            return _inspect(spec, options)
        from trueline.models.endpoints.opening import open_endpoint

        if spec.tariff is not None:
            options["tariff"] = _tariff(spec.tariff)
        return Subject(target=open_endpoint(spec.model, system_prompt=spec.system_prompt, **options))
    _refuse(spec, "is not an endpoint", "tariff", "endpoint")
    if is_testbed(spec.model):
        return _testbed(spec)
    if spec.model.startswith(RECORDED):
        _refuse(spec, "replays stored answers", "dtype", "device", "quantize", "system_prompt", "cut")
        return Subject(target=open_recorded(spec.model))
    from trueline.models.local import LocalTarget

    return Subject(target=LocalTarget.from_pretrained(spec.model, **_local_options(spec)))


def _inspect(spec: TargetSpec, options: Mapping[str, Any]) -> Subject:
    from trueline.models.inspect_model import open_inspect

    for name in options:
        if name != "epoch":
            raise InputError(
                f"{spec.model!r} is asked through inspect-ai, so it takes no endpoint option {name!r}: give the "
                "provider's own after '?', as in inspect:hf/PATH?do_sample=false."
            )
    return Subject(target=open_inspect(spec.model, system_prompt=spec.system_prompt, **options))


def _refuse(spec: TargetSpec, why: str, *options: str) -> None:
    """An option that this kind of target cannot follow is refused, never ignored."""
    for option in options:
        value = getattr(spec, option)
        if value != TargetSpec.model_fields[option].default:
            shown = f" {value!r}" if isinstance(value, str) else ""
            raise InputError(f"{spec.model!r} {why}, so it takes no {option}{shown}: leave {option} out.")


def _tariff(tariff: Tariff) -> Any:
    from trueline.models.endpoints.config import Tariff as EndpointTariff

    return EndpointTariff(prompt=tariff.input, completion=tariff.output)


def _local_options(spec: TargetSpec) -> Mapping[str, Any]:
    options: dict[str, Any] = {
        "dtype": spec.dtype,
        "device": spec.device,
        "system_prompt": spec.system_prompt,
        "cut": spec.cut,
    }
    if spec.quantize is not None:
        options["quantization"] = spec.quantize
    return options


def is_testbed(model: str) -> bool:
    """Whether a name is of a model of the testbed: testbed, testbed:SIZE, testbed:FOLDER or testbed:SIZE@SEED."""
    return model == TESTBED or model.startswith(TESTBED + ":")


def testbed_folder(model: str) -> tuple[Path, "World"]:
    """The folder of a testbed model's weights, put together or trained where it is not there yet, and its world."""
    from trueline.testbed import embedded

    named, at, seed = model.partition(":")[2].partition("@")
    given = named or embedded.DEFAULT_SIZE  # an empty path would be the working folder
    if not at:
        # a fine-tune of a shipped model, judged by the same world
        return Path(given) if Path(given).is_dir() else embedded.folder(given), embedded.world()
    from trueline.testbed.build import other_world
    from trueline.testbed.world import build_world

    if not seed.isdecimal():
        raise InputError(f"{model!r} names no world: give testbed:SIZE@SEED with a whole number.")
    world, folder = other_world(int(seed), given)
    return folder, build_world(world)


def _testbed(spec: TargetSpec) -> Subject:
    from trueline.models.local import LocalTarget

    options = {**_local_options(spec), "dtype": "float32" if spec.dtype == "auto" else spec.dtype}
    folder, world = testbed_folder(spec.model)
    return Subject(target=LocalTarget.from_pretrained(str(folder), **options), world=world)
