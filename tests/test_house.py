"""Rules of the house that hold for all files."""

import re
import subprocess
import sys

from lattice_flows import __version__
from lattice_flows.config import CONFIGS

ROOT = CONFIGS.parent


def test_the_gate_runs_the_test_command_of_the_readme():
    commands = re.findall(r"```bash\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    (command,) = [command for command in commands if "pytest" in command and "venv" in command]
    assert command in (ROOT / ".ci" / "run").read_text()


def test_scripts_are_short():
    for script in (ROOT / "scripts").glob("*.py"):
        assert len(script.read_text().splitlines()) < 80, script


def test_the_version_is_one_number():
    assert f"version = {__version__}\n" in (ROOT / "setup.cfg").read_text()
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_style():
    for arguments in (["check"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *arguments, str(ROOT)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_lower_floors_do_not_import_tensorflow():
    names = ", ".join(f"lattice_flows.{name}" for name in ("config", "lattice", "seeds"))
    code = f"import sys, {names}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
