"""Tables of keys, parts, commands and observables, from what the program itself knows.

A line `{{ keys training }}` of a page stands for the keys of that section of a configuration, `{{ parts flow }}` for all
registered flows with their parameters, and so on: `TABLES` names all of them. What a key means is the comment beside it in
`configs/base.yaml`, what a parameter means its line in the docstring.
"""

import importlib
import inspect
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any

import pydantic
import yaml

from lattice_flows import config as configurations
from lattice_flows.command_line import COMMANDS, Flag
from lattice_flows.command_line.exit_codes import MEANING
from lattice_flows.command_line.flags import GROUPS
from lattice_flows.config import CONFIGS, Component, Registry
from lattice_flows.config.aliases import RENAMED

__all__ = ["REGISTRIES", "TABLES", "on_page_markdown"]

_MARKER = re.compile(r"^\{\{ (\w+)(?: (\S+))? \}\}$", re.MULTILINE)
_LARGEST = 2**31  # limits beyond are those of the number format
_SECTIONS = {
    "run": ("", configurations.RunConfig),
    "lattice": ("lattice", configurations.LatticeConfig),
    "training": ("training", configurations.TrainingConfig),
    "schedule": ("training.schedule", configurations.ScheduleConfig),
    "chain": ("chain", configurations.ChainConfig),
    "sampler": ("samplers.hmc", configurations.SamplerConfig),
}
# Keys whose mappings have headings of their own.
_ANCHORS = {name: name for name in ("lattice", "training", "chain", "samplers", "stages")} | {"schedule": "trainingschedule"}
# Kind of a part -> the registry's module and name.
REGISTRIES = {
    "action": ("lattice_flows.actions", "ACTIONS"),
    "flow": ("lattice_flows.flows", "FLOWS"),
    "prior": ("lattice_flows.priors", "PRIORS"),
    "network": ("lattice_flows.networks", "NETWORKS"),
    "inner map": ("lattice_flows.bijectors", "INNER_MAPS"),
    "optimizer": ("lattice_flows.training", "OPTIMIZERS"),
    "loss": ("lattice_flows.training", "LOSSES"),
    "gradient estimator": ("lattice_flows.training", "ESTIMATORS"),
    "sampler": ("lattice_flows.samplers", "SAMPLERS"),
    "observable": ("lattice_flows.measurement.observables", "OBSERVABLES"),
}


def on_page_markdown(markdown, page, config, files):
    """Puts the tables in the place of their markers."""
    return _MARKER.sub(lambda match: TABLES[match[1]](*filter(None, match.groups()[1:])), markdown)


def keys(section: str) -> str:
    """The keys of a section of a configuration."""
    prefix, model = _SECTIONS[section]
    meant = comments((CONFIGS / "base.yaml").read_text())
    rows = []
    for name, field in model.model_fields.items():
        key = f"{prefix}.{name}" if prefix else name
        default = "required" if field.is_required() else shown(field.get_default())
        if field.annotation is Component:
            values = f"[{name}](#{name}s): a name, or a mapping with `name`"
        elif name in _ANCHORS:
            values, default = f"[mapping](#{_ANCHORS[name]})", "required" if field.is_required() else "see there"
        else:
            values = kind(_annotated(field))
        rows.append([f"`{name}`", values, default, meant.get(key, "")])
    return table(["key", "value", "default", "meaning"], rows)


def parts(which: str) -> str:
    """All registered parts of a kind, with their parameters."""
    lines, elsewhere = [], configurations.SamplerConfig.model_fields if which == "sampler" else ()
    for name, part in registry(which.replace("_", " ")).items():
        lines += [f"#### `{name}`", summary(part), parameters_of(part, elsewhere)]
    return "\n\n".join(filter(None, lines))


def parameters_of(part: Callable, without: Collection[str] = ()) -> str:
    """The keyword parameters of a part, which are its keys in a configuration, without those that are described elsewhere."""
    meant = documented(part, "Args")
    rows = []
    for name, parameter in inspect.signature(part).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and name not in without:
            default = "required" if parameter.default is parameter.empty else shown(parameter.default)
            rows.append([f"`{name}`", kind(parameter.annotation), default, meant.get(name, "")])
    return table(["key", "value", "default", "meaning"], rows) if rows else ""


def names(which: str) -> str:
    """The names that are registered for a kind of functions."""
    rows = [[f"`{name}`", summary(part)] for name, part in registry(which.replace("_", " ")).items()]
    return table(["name", "meaning"], rows)


def fields(path: str) -> str:
    """The attributes of a class, by its docstring."""
    rows = [[f"`{name}`", text] for name, text in documented(found(*path.rsplit(".", 1)), "Attributes").items()]
    return table(["name", "meaning"], rows)


def commands() -> str:
    """All commands with their flags."""
    lines = []
    for command, what in COMMANDS.items():
        script = importlib.import_module(f"lattice_flows.scripts.{command}")
        text = inspect.cleandoc(script.__doc__).replace(f"python scripts/{command}.py", f"lattice-flows {command}")
        text = re.sub(
            r"((?:^ *lattice-flows .*\n?)+)",
            lambda match: f"\n```bash\n{inspect.cleandoc(match[1])}\n```\n",
            text,
            flags=re.MULTILINE,
        )
        lines += [f"## `lattice-flows {command}` {{ #{command} }}", f"*{what[0].upper()}{what[1:]}.*", text]
        flags = sorted(script.FLAGS, key=lambda flag: GROUPS.index(flag.group))
        lines += [table(["flag", "default", "meaning"], [[f"`{_flag(flag)}`", _default_of(flag), flag.help] for flag in flags])]
    return "\n\n".join(lines)


def exit_codes() -> str:
    """What a command says by its exit code."""
    return table(["code", "meaning"], [[str(code), text] for code, text in MEANING.items()])


def renamed() -> str:
    """Keys of earlier versions."""
    heads = [(old, *new.partition(".")) for old, new in RENAMED.items()]
    return table(
        ["earlier key", "key"], [[f"`{old}`", f"`{RENAMED.get(head, head)}{dot}{rest}`"] for old, head, dot, rest in heads]
    )


def presets() -> str:
    """The configurations that come with the package, by folder."""
    rows = []
    for file in sorted(CONFIGS.rglob("*.yaml")):
        name = file.relative_to(CONFIGS).with_suffix("").as_posix()
        if name != "base" and not name.startswith(("flows/", "training/")):  # parts of configurations
            config = configurations.load(file)
            action = dict(config.action.parameters)
            lattice = " x ".join(map(str, config.lattice.shape))
            rows.append([f"`{name}`", lattice, str(action.get("m2", "")), str(action.get("lam", "")), config.flow.name])
    return table(["`--config`", "lattice", "m2", "lam", "flow"], rows)


TABLES: Mapping[str, Callable[..., str]] = {
    table.__name__: table for table in (keys, parts, names, fields, commands, exit_codes, renamed, presets)
}


def registry(which: str) -> Registry:
    """The registry of a kind of parts."""
    return found(*REGISTRIES[which])


def found(module: str, name: str) -> Any:
    """An object of a module, whose imports may warn of what they will lose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return getattr(importlib.import_module(module), name)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines)


def summary(part: Callable) -> str:
    """The first paragraph of a docstring."""
    return inspect.getdoc(part).split("\n\n")[0].replace("\n", " ")


def documented(part: Callable, section: str) -> dict[str, str]:
    """Names and descriptions in a section of a docstring, such as "Args"."""
    text = re.search(rf"^{section}:\n(.*?)(?=\n\S|\Z)", inspect.getdoc(part), re.DOTALL | re.MULTILINE)
    items = re.findall(r"^  (\w[^:]*): (.*(?:\n    .*)*)", text[1] if text else "", re.MULTILINE)
    return {name: " ".join(meaning.split()).removesuffix(".") for names, meaning in items for name in names.split(", ")}


def comments(text: str) -> dict[str, str]:
    """Dotted key -> the comment beside it in a YAML file."""
    known, path = {}, []
    for line in text.splitlines():
        if match := re.match(r"( *)(\w+):[^#]*(?:# (.*))?$", line):
            path = [*path[: len(match[1]) // 2], match[2]]
            if match[3]:
                known[".".join(path)] = match[3]
    return known


def kind(annotation: Any) -> str:
    """The values that a key can have, in words."""
    for item in getattr(annotation, "__metadata__", ()):
        if isinstance(item, Registry):
            return f"{item.kind}: a name, or a mapping with `name`"
    if annotation is inspect.Parameter.empty:
        return "any"
    return described(pydantic.TypeAdapter(annotation).json_schema())


def described(schema: Mapping[str, Any]) -> str:
    """A JSON schema in words."""
    if "anyOf" in schema:
        return " or ".join(map(described, schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "$ref" in schema:
        return "mapping, see below"
    word = {"boolean": "true or false", "null": "null", "string": "text", "object": "mapping"}.get(
        schema.get("type"), schema.get("type")
    )
    if word == "array":
        return f"list of {described(schema['items'])}"
    return " ".join([word, *_limits(schema)])


def shown(value: Any) -> str:
    """A default as it is written in a configuration."""
    plain = (
        value.model_dump(mode="json")
        if isinstance(value, pydantic.BaseModel)
        else list(value)
        if isinstance(value, tuple)
        else value
    )
    if isinstance(value, Component) and not value.parameters:
        plain = value.name
    return f"`{yaml.safe_dump(plain, default_flow_style=True, width=1000).removesuffix('...' + chr(10)).strip()}`"


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    low = (
        [f"from {schema['minimum']:g}"]
        if "minimum" in schema
        else [f"above {schema['exclusiveMinimum']:g}"]
        if "exclusiveMinimum" in schema
        else []
    )
    high = [f"to {schema['maximum']:g}"] if "maximum" in schema else []
    if schema.get("exclusiveMaximum", _LARGEST) < _LARGEST:
        high = [f"below {schema['exclusiveMaximum']:g}"]
    return iter([*low, *high])


def _annotated(field: pydantic.fields.FieldInfo) -> Any:
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


def _flag(flag: Flag) -> str:
    return f"{flag.name.upper()}{' ...' if flag.several else ''}" if flag.positional else f"--{flag.name}"


def _default_of(flag: Flag) -> str:
    if flag.required:
        return "required"
    if flag.shown_default:
        return flag.shown_default
    return "" if flag.default in (None, False, []) else f"`{flag.default}`"
