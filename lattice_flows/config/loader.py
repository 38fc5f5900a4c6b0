"""Reads configuration files, puts overrides on top, and checks the result. No TensorFlow.

A file may name another one, or a list of them, under the key ``include``: paths relative to itself, or names of files that come
with the package (``base.yaml``, ``E1.yaml``, ``flows/continuous.yaml``). Its own entries stand on top of the included ones, and of
these the later on top of the earlier, as `merging` describes.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lattice_flows.config.errors import ConfigError
from lattice_flows.config.merging import on_top
from lattice_flows.config.schema import RunConfig
from lattice_flows.errors import nearest
from lattice_flows.reading import read_yaml, reading

__all__ = ["CONFIGS", "TRAINED", "find", "load", "trained_weights"]


def _folder(name: str) -> Path:
    """A folder of files that come with the package: inside it in an installed wheel, beside it in a clone."""
    package = Path(__file__).resolve().parents[1]
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


CONFIGS = _folder("configs")
# Trained weights, by flow and ensemble.
TRAINED = _folder("paper") / "trained"
_MOST_INCLUDES = 100


def trained_weights() -> dict[str, Path]:
    """The files of all weights that come with the package, by names such as "continuous/E5", in alphabetical order."""
    return {f"{file.parent.name}/{file.stem}": file for file in sorted(TRAINED.glob("*/*.npz"))}


def find(name: str | Path, folder: Path = Path()) -> Path:
    """The configuration file of that path or, where there is none, the one of that name that comes with the package ("E1").

    Args:
      name: a path, relative to `folder`, or a name.
      folder: the present one by default.
    """
    with reading(name, error=ConfigError):
        wanted = folder / name
        candidates = (wanted, CONFIGS / name, CONFIGS / f"{name}.yaml")
        return next((file for file in candidates if file.exists() and not file.is_dir()), wanted)


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


def _read(path: Path, above: Sequence[Path] = (), known: dict[Path, dict[str, Any]] | None = None) -> dict[str, Any]:
    """The tree of a file on top of those that it includes.

    Args:
      path: the file.
      above: the files that it is included by, the outermost first.
      known: trees that were read before; each file is read once, however often it is included.
    """
    known = {} if known is None else known
    if path in above:
        raise ConfigError(f"a loop of includes: {' includes '.join(map(str, [*above[above.index(path) :], path]))}")
    if path not in known:
        tree = read_yaml(path, _advice(path, above), ConfigError)
        below = tree.pop("include", [])
        names = [below] if isinstance(below, str) else below
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > _MOST_INCLUDES:
            raise ConfigError(f"{path}: key 'include' must be the name of a file, or a list of {_MOST_INCLUDES} names at most")
        files = [find(name, path.parent).resolve() for name in names]
        layers = [_read(file, [*above, path], known) for file in files]
        known[path] = functools.reduce(on_top, [*layers, tree], {})
    return known[path]


def _advice(path: Path, above: Sequence[Path]) -> str:
    """What to say where a file cannot be read."""
    if above:
        return f"{above[-1].name} includes it"
    if path.is_dir():
        return f"name a file, such as {path / 'config.yaml'}"
    if path.suffix == ".toml":
        return "configurations are YAML; lattice-flows convert translates those of GomalizingFlow.jl"
    if path.exists():
        return ""
    folder = path.parent if not path.is_absolute() and (CONFIGS / path.parent).is_dir() else Path()
    known = [(folder / file.stem).as_posix() for file in (CONFIGS / folder).glob("*.yaml")]
    return nearest((folder / path.stem).as_posix(), known)
