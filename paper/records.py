"""Files in which commands record measurements: beside this package in a clone, or where the user wants them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lattice_flows.io.files import RunError, write_text
from lattice_flows.reading import read_yaml

__all__ = ["COST", "REFERENCES", "RUNS", "read_record", "record_file", "write_record"]

_HERE = Path(__file__).parent
REFERENCES = _HERE / "references.yaml"
RUNS = _HERE / "runs.yaml"
COST = _HERE / "cost.yaml"
_LARGEST = 2**24


def record_file(default: Path, path: str | Path | None = None) -> Path:
    """Where a command records.

    Args:
      default: one of the files of this package; it serves in a clone of the repository.
      path: a file that the user has named; it takes precedence.

    Raises:
      RunError: no file is named, and the package is installed, so its files must not change.
    """
    if path is not None:
        return Path(path)
    if not (default.parents[1] / "setup.cfg").exists():
        raise RunError(
            f"cannot record in {default}: it belongs to an installed package. "
            "Run the command in a clone of the repository, or name a file of your own with --record_to"
        )
    return default


def read_record(path: Path) -> dict[str, Any]:
    """The content of a record, empty where there is no file yet. Raises `UnreadableFile` if it is damaged."""
    return read_yaml(path, limit=_LARGEST) if path.exists() else {}


def write_record(path: Path, head: str, content: Mapping[str, Any], **style: Any) -> None:
    """Writes a whole record.

    Args:
      path: the file.
      head: first line, without the `#`.
      content: what it holds.
      **style: options of `yaml.safe_dump`.

    Raises:
      RunError: the file cannot be written.
    """
    write_text(path, f"# {head}\n" + yaml.safe_dump(dict(content), width=120, **style))
