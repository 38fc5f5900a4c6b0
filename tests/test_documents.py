"""What README.md, CONTRIBUTING.md and the pages of the documentation tell users to write can be written."""

import dataclasses
import importlib
import re
import shlex
from collections.abc import Iterator

import pytest

from lattice_flows.command_line import COMMANDS, Flag, UsageError, parse
from lattice_flows.config import CONFIGS

README = (CONFIGS.parent / "README.md").read_text()
PAGES = sorted((CONFIGS.parent / "docs").rglob("*.md"))
DOCUMENTS = (README, *(page.read_text() for page in (CONFIGS.parent / "CONTRIBUTING.md", *PAGES)))
COMMAND = re.compile(r"(?:\bscripts/(\w+)\.py|\blattice-flows (\w+))(?: +(.*))?$")


def flags_of(command: str) -> tuple[Flag, ...]:
    return importlib.import_module(f"lattice_flows.scripts.{command}").FLAGS


def complete_lines() -> Iterator[tuple[str, str]]:
    """Command and arguments of every command line, in blocks, in code spans, and in the rows of tables that a command begins."""
    for text in DOCUMENTS:
        blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
        lines = [part for block in blocks for line in block.splitlines() for part in line.split("&&")]
        for line in [*lines, *spans(text)]:
            if found := COMMAND.search(line.split("#")[0].strip()):
                yield found[1] or found[2], found[3] or ""
        for row in re.findall(r"^\| `.*$", text, re.MULTILINE):
            first, *others = spans(row)
            if first in COMMANDS:
                yield from ((first, span) for span in others if span.startswith("--"))


def single_flags() -> list[str]:
    """Code spans of flags alone, wherever they stand."""
    return sorted({span for text in DOCUMENTS for span in spans(text) if re.match(r"--\w", span)} - {"--help"})


def spans(text: str) -> list[str]:
    """Code spans outside of blocks."""
    return re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize(("command", "arguments"), sorted(set(complete_lines())))
def test_a_command_line_is_understood(command, arguments):
    parse(command, "", flags_of(command), shlex.split(arguments))


def test_the_command_lines_are_found():
    assert {command for command, _ in complete_lines()} >= {"reproduce", "train", "sample", "baseline", "measure"}
    assert ("measure", "runs/my_hmc") in complete_lines()


@pytest.mark.parametrize("span", single_flags())
def test_a_command_has_the_flags(span):
    name, *values = shlex.split(span)
    for command in COMMANDS:
        flags = [dataclasses.replace(flag, required=False) for flag in flags_of(command)]
        if not values and name.removeprefix("--") in {flag.name for flag in flags}:
            return
        try:
            parse(command, "", flags, [name, *values])
        except UsageError:
            continue
        return
    pytest.fail(f"no command takes {span}")


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    namespace = {"__name__": "example"}
    exec(compile(code, "README.md", "exec"), namespace)
    assert "two_point_susceptibility" in capsys.readouterr().out
    assert namespace["phi"].shape == (1000, 12, 12) and namespace["log_weight"].shape == (1000,)
