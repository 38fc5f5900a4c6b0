"""What those who join the project meet: continuous integration, hooks of commits, forms of issues."""

import configparser
import re

import yaml

from lattice_flows.config import CONFIGS

ROOT = CONFIGS.parent


def read(name):
    return yaml.safe_load((ROOT / name).read_text())


def test_the_gate_runs_on_every_python_from_the_oldest_that_the_package_allows():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    gate = read(".github/workflows/ci.yml")["jobs"]["gate"]
    pythons = [tuple(map(int, version.split("."))) for version in gate["strategy"]["matrix"]["python"]]
    oldest, (major, newest) = ".".join(map(str, pythons[0])), pythons[-1]
    assert settings["options"]["python_requires"] == f">={oldest},<{major}.{newest + 1}"
    assert pythons == [(3, minor) for minor in range(pythons[0][1], pythons[-1][1] + 1)]
    assert gate["steps"][-1]["run"] == ".ci/run"


def test_what_is_checked_before_a_commit_is_checked_everywhere():
    (hooks,) = (repository["hooks"] for repository in read(".pre-commit-config.yaml")["repos"])
    steps = read(".github/workflows/ci.yml")["jobs"]["style"]["steps"]
    tools = {re.match(r"python -m (\w+(?: (?:check|format))?)", hook["entry"])[1] for hook in hooks}
    assert tools == {"ruff check", "ruff format", "mypy"}
    assert tools <= {step["run"].removeprefix("python -m ").removesuffix(" --check") for step in steps if "run" in step}


def test_forms_of_bugs_ask_for_the_command_and_the_environment():
    for name in ("bug", "wrong_number"):
        fields = {field["id"]: field for field in read(f".github/ISSUE_TEMPLATE/{name}.yml")["body"]}
        assert all(fields[wanted]["validations"]["required"] for wanted in ("command", "environment"))
