"""Reads configuration files, puts overrides on top, and checks the result. No TensorFlow.

A file may name another one, or a list of them, under the key ``include``: paths relative to itself, or names of files that come
with the package (``base.yaml``, ``E1.yaml``, ``flows/continuous.yaml``). Its own entries stand on top of the included ones, and of
these the later on top of the earlier, as `merging` describes.
"""

import copy
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lattice_flows.config.errors import ConfigError
from lattice_flows.config.merging import on_top
from lattice_flows.config.schema import RunConfig

__all__ = ["CONFIGS", "find", "load"]


def _folder_of_configurations() -> Path:
    """Inside the package in an installed wheel, beside it in a clone."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


CONFIGS = _folder_of_configurations()


class _Loader(yaml.SafeLoader):
    """YAML 1.1 reads ``1e-3`` as text, but everybody who writes it means a number."""


_Loader.yaml_implicit_resolvers = copy.deepcopy(yaml.SafeLoader.yaml_implicit_resolvers)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789"))


def find(name: str | Path) -> Path:
    """The configuration file of that path or, where there is none, the one of that name that comes with the package ("E1")."""
    path = Path(name)
    candidates = (CONFIGS / path, CONFIGS / f"{path}.yaml")
    return path if path.exists() else next((file for file in candidates if file.is_file()), path)


def load(path: str | Path, *overrides: Mapping[str, Any] | Path) -> RunConfig:
    """Reads a configuration file, puts the overrides on top, and checks the result.

    ```python
    config = lf.config.load("E1", {"training": {"steps": 100}})
    ```

    Args:
      path: a YAML file, or the name of one that comes with the package, such as "E1".
      *overrides: nested mappings or further YAML files, the later the stronger.

    Raises:
      ConfigError: a file that cannot be read, an unknown, missing or mistyped key.
    """
    tree = _read(find(path))
    for override in overrides:
        tree = on_top(tree, _read(override) if isinstance(override, Path) else override)
    config = RunConfig.checked(tree, str(path))
    config.stage_configs()
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.load(path.read_text(), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold a mapping of keys to values, not {type(tree).__name__}")
    below = tree.pop("include", [])
    files = [path.parent / file for file in ([below] if isinstance(below, str) else below)]
    layers = [_read(file if file.exists() else find(file.relative_to(path.parent))) for file in files]
    return functools.reduce(on_top, [*layers, tree], {})
