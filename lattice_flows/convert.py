"""From a configuration of GomalizingFlow.jl (TOML) to one of this package (YAML). No TensorFlow.

The keys and what they do are those of https://github.com/AtelierArith/GomalizingFlow.jl (arXiv:2208.08903): `src/parameters.jl`,
`models.jl`, `training.jl`, `actions.jl`, `mcmc.jl` and `PotentialDistributions.jl`; its learning rates are those of
ParameterSchedulers.jl. Both packages have the same action, checkerboard couplings, networks and initial weights.

Three of its values are Julia code, which is parsed here and never run: `opt`, `prior` and `lr_scheduler`.
"""

import dataclasses
import itertools
import math
import re
import textwrap
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt

from lattice_flows.config import ConfigError, RunConfig, Sizes
from lattice_flows.config.components import Checked
from lattice_flows.config.errors import explain, shown
from lattice_flows.config.merging import on_top
from lattice_flows.reading import read_toml

__all__ = ["Conversion", "convert"]

_PROPOSALS = 8196  # of its Markov chain, fixed in its code
_INCLUDE = ["base.yaml", "flows/affine_conv.yaml"]
_FLUX = "no counterpart: weights of Flux cannot be read, so training starts anew; training.init_from takes runs of this package"
_FALLS = "; versions without the key lr_scheduler multiplied the rate by 0.1 at every epoch from 200 on, which is not done here"
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eEf][-+]?\d+)?")


@dataclasses.dataclass(frozen=True)
class Conversion:
    """A converted configuration.

    Attributes:
      text: YAML that `lattice_flows.config.load` reads; comments at its top say what every key has become.
      notes: these comments, a line for each key.
    """

    text: str
    notes: tuple[str, ...]


def convert(path: str | Path) -> Conversion:
    """Translates a configuration file of GomalizingFlow.jl.

    Args:
      path: of the TOML file.

    Raises:
      ConfigError: a file that cannot be read, an unknown or missing key, or a value that has no counterpart here.
    """
    found = _checked(read_toml(path, "it must be a configuration of GomalizingFlow.jl", ConfigError), path)
    tree, notes = _translated(found, str(path))
    name = Path(path).name
    lines = [f"{name}, a configuration of GomalizingFlow.jl (arXiv:2208.08903). What its keys have become:"]
    lines += [line for note in notes for line in textwrap.wrap(note, 110, initial_indent="  ", subsequent_indent="      ")]
    header = "".join(f"# {line}\n" for line in lines)
    body = yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=120)
    return Conversion(f"{header}\ninclude: [{', '.join(_INCLUDE)}]\n\n{body}", tuple(notes))


class _Config(Checked):
    version: str | float


class _Device(Checked):
    device_id: int = -1


class _Physical(Checked):
    L: Annotated[int, Field(ge=2, multiple_of=2)]  # an odd L has no checkerboard
    Nd: Annotated[int, Field(ge=1, le=4)]
    M2: float
    lam: Annotated[float, Field(ge=0)]


class _Model(Checked):
    seed: int = 2021
    n_layers: PositiveInt = 16
    hidden_sizes: Sizes = (8, 8)
    kernel_size: PositiveInt = 3
    inC: Literal[1] = 1
    outC: Literal[2] = 2
    use_final_tanh: bool = True
    use_bn: bool = False

    @pydantic.field_validator("use_bn")
    @classmethod
    def _without(cls, use_bn: bool) -> bool:
        if use_bn:
            raise ValueError("with batch normalisation, the density of a field depends on its batch; there is none here")
        return use_bn


class _Training(Checked):
    seed: Annotated[int, Field(ge=0)] = 12345
    batchsize: PositiveInt = 64
    epochs: PositiveInt = 40
    iterations: PositiveInt = 100
    base_lr: PositiveFloat = 0.001
    opt: str = "Adam"
    prior: str = "Normal{Float32}(0.f0, 1.f0)"
    lr_scheduler: str = ""
    pretrained: str = ""
    result: str | None = None  # of its first versions


class _File(Checked):
    config: _Config | None = None
    device: _Device | None = None
    device_id: int | None = None  # of its first versions
    training: _Training = _Training()
    physical: _Physical
    model: _Model = _Model()


def _checked(tree: dict[str, Any], path: str | Path) -> _File:
    try:
        return _File.model_validate(tree)
    except pydantic.ValidationError as error:
        raise ConfigError(f"{path}: {explain(error, _File)}") from None


def _translated(file: _File, where: str) -> tuple[dict[str, Any], list[str]]:
    """The configuration of this package, and a line for every key of the file."""
    physical, model, training = file.physical, file.model, file.training
    steps = training.epochs * training.iterations
    try:
        _check_together(physical, model)
        prior, of_prior = _prior(training.prior)
        rate, schedule, of_schedule = _schedule(training)
        optimizer = _optimizer(training.opt)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    tree = {
        "seed": training.seed,
        "lattice": {"shape": [physical.L] * physical.Nd},
        "action": {"name": "scalar_phi4", "m2": physical.M2, "lam": physical.lam},
        "flow": {
            "layers": model.n_layers,
            "prior": prior,
            "network": {
                "name": "convolutional",
                "channels": list(model.hidden_sizes),
                "kernel_size": model.kernel_size,
                "activation": "leaky_relu",
                "final_activation": "tanh" if model.use_final_tanh else "leaky_relu",
            },
        },
        "training": {
            "steps": steps,
            "batch_size": training.batchsize,
            "learning_rate": rate,
            "optimizer": {"name": optimizer},
            "schedule": schedule,
            "evaluate_every": training.iterations,
        },
        "chain": {"length": _PROPOSALS},
    }
    RunConfig.checked(on_top({"flow": {"name": "affine"}}, tree), where)
    notes = [
        *([_note(file.config, "config", "version", meaning="no counterpart: the version of that format")] if file.config else []),
        *_of_device(file),
        _note(physical, "physical", "L", "Nd", meaning="lattice.shape"),
        _note(physical, "physical", "M2", meaning="action.m2, of the same action: no 1/2, no 1/4!"),
        _note(physical, "physical", "lam", meaning="action.lam"),
        _note(model, "model", "seed", meaning="no counterpart: initial weights follow from the master seed too"),
        _note(model, "model", "n_layers", meaning="flow.layers"),
        _note(model, "model", "hidden_sizes", meaning="flow.network.channels"),
        _note(model, "model", "kernel_size", meaning="flow.network.kernel_size"),
        _note(model, "model", "inC", "outC", meaning="no counterpart: one field goes in, scale and shift come out, as always"),
        _note(model, "model", "use_final_tanh", meaning="flow.network.final_activation"),
        _note(model, "model", "use_bn", meaning="no counterpart: there is no batch normalisation"),
        _note(training, "training", "seed", meaning="seed, from which everything random follows; the random numbers are others"),
        _note(training, "training", "batchsize", meaning="training.batch_size"),
        _note(training, "training", "epochs", "iterations", meaning="training.steps, their product, and training.evaluate_every"),
        _note(training, "training", "base_lr", "lr_scheduler", meaning=of_schedule),
        _note(training, "training", "opt", meaning="training.optimizer, which clips the gradient here (gradient_clip)"),
        _note(training, "training", "prior", meaning=of_prior),
        _note(training, "training", "pretrained", meaning=_FLUX if training.pretrained else "no counterpart: training starts anew"),
        *([_note(training, "training", "result", meaning="no counterpart: the flag --out")] if training.result is not None else []),
        f"{_PROPOSALS} proposals of its Markov chain, fixed in its code -> chain.length",
    ]
    return tree, notes


def _check_together(physical: _Physical, model: _Model) -> None:
    """Raises `ValueError` for values of which each is within its limits, but with which nothing could run."""
    if physical.lam == 0 and physical.M2 <= 0:
        raise ValueError(f"key 'physical.lam' has the value 0: it must be positive where M2 is not, and that is {physical.M2}")
    size, most = model.kernel_size, 2 * physical.L + 1
    if size % 2 == 0 or size > most:
        raise ValueError(f"key 'model.kernel_size' has the value {size}: it must be odd, and at most 2 L + 1 = {most}")


def _note(section: BaseModel, name: str, *keys: str, meaning: str) -> str:
    """What some keys of a section have become."""
    return f"{', '.join(f'{name}.{key} = {_as_toml(getattr(section, key))}' for key in keys)} -> {meaning}"


def _as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = f'"{value}"' if isinstance(value, str) else str(list(value) if isinstance(value, tuple) else value)
    return " ".join(text.split())  # a note is one line


def _of_device(file: _File) -> list[str]:
    """Notes on the device, which the first versions had at the top of the file."""
    sections = [("device.device_id", file.device.device_id if file.device else None), ("device_id", file.device_id)]
    flags = [(key, number, "cpu" if number < 0 else f"gpu:{number}") for key, number in sections if number is not None]
    return [f"{key} = {number} -> no counterpart: the flag --device {device}" for key, number, device in flags]


def _optimizer(opt: str) -> str:
    if opt in ("Adam", "ADAM"):  # of Flux, later and earlier
        return "adam"
    raise ValueError(f"key 'training.opt' has the value {shown(opt)}: only Adam has a counterpart here")


def _prior(text: str) -> tuple[dict[str, Any], str]:
    """The prior, and what a note says about it."""
    key = "training.prior"
    if text.strip().startswith("Normal"):
        mean, width = _arguments(text, key, "Normal", {"μ": 0.0, "σ": 1.0})
        if mean != 0 or not width > 0:
            raise ValueError(f"key {key!r} has the value {shown(text)}: a normal prior has the mean 0 here, and a positive width")
        return {"name": "normal", "width": width, "learn_width": False}, "flow.prior"
    m2, lam, low, high = _arguments(text, key, "Potential", {"m²": None, "λ": None, "xmin": -2.0, "xmax": 2.0})
    if not lam > 0:
        raise ValueError(f"key {key!r} has the value {shown(text)}: a quartic prior has a positive λ here")
    cut = f"flow.prior, the density exp(-(a z^2 + b z^4)), which is cut at {low:g} and {high:g} there and nowhere here"
    return {"name": "quartic", "a": m2, "b": lam}, cut


def _schedule(training: _Training) -> tuple[float, dict[str, Any], str]:
    """The first learning rate, the schedule, and what a note says about them."""
    meaning = "training.learning_rate and training.schedule"
    if not training.lr_scheduler.strip():
        falls_there = "lr_scheduler" not in training.model_fields_set and training.epochs >= 200
        return training.base_lr, {"name": "constant"}, meaning + _FALLS * falls_there
    key, text = "training.lr_scheduler", training.lr_scheduler
    rate, factor, sizes = _arguments(text, key, "Step", {"λ": None, "γ": None, "step_sizes": None})
    if isinstance(sizes, float):  # the rate falls again and again
        sizes = [sizes] * math.ceil(training.epochs / sizes) if sizes >= 1 else [sizes]
    if not all(size >= 1 and size == int(size) for size in sizes):
        raise ValueError(f"key {key!r} has the value {shown(text)}: it must list whole epochs")
    falls = [int(epoch) * training.iterations for epoch in itertools.accumulate(sizes) if epoch < training.epochs]
    meaning += ", which falls after these numbers of epochs (the last fall is missing in early versions of ParameterSchedulers.jl)"
    if rate != training.base_lr:
        meaning += "; base_lr has no effect beside lr_scheduler"
    return rate, {"name": "steps", "boundaries": falls, "factor": factor} if falls else {"name": "constant"}, meaning


def _arguments(text: str, key: str, name: str, defaults: dict[str, Any]) -> list[Any]:
    """The arguments of a call in Julia, `name{T}(number, [number, ...]; keyword=number)`.

    Args:
      text: of the call.
      key: that it is the value of.
      name: of what is called.
      defaults: keyword -> value where it is not given, None if it must be; in their order as positional arguments.
    """
    example = f"{name}({', '.join(defaults)})"
    refused = ValueError(f"key {key!r} has the value {shown(text)}: only {example} with numbers has a counterpart here")
    call = re.fullmatch(rf"\s*{name}\s*(?:\{{\s*\w+\s*\}})?\s*\((.*)\)\s*", text, re.DOTALL)
    if call is None:
        raise refused
    found: dict[str, Any] = {}
    parts = [part.strip() for part in re.findall(r"(?:\[[^\]]*\]|[^,;\[\]])+", call[1]) if part.strip()]
    positional = iter(defaults)
    for part in parts:
        keyword, equals, value = part.rpartition("=")
        keyword = keyword.strip() if equals else next(positional, "")
        if keyword not in defaults:
            raise refused
        if keyword in found:
            raise ValueError(f"key {key!r} has the value {shown(text)}: it gives {keyword} more than once")
        items = value.strip().removeprefix("[").removesuffix("]").split(",")
        if not all(_NUMBER.fullmatch(item.strip()) for item in items):
            raise refused
        numbers = [float(item.strip().replace("f", "e")) for item in items]
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"key {key!r} has the value {shown(text)}: its numbers must be finite")
        found[keyword] = numbers if value.strip().startswith("[") else numbers[0]
    values = [found.get(keyword, default) for keyword, default in defaults.items()]
    lists = [keyword for keyword, value in found.items() if isinstance(value, list) and keyword != "step_sizes"]
    if lists or None in values:
        raise refused
    return values
