"""mypy finds no error, strictly but for what [mypy] in setup.cfg leaves out and why."""

import subprocess
import sys

from lattice_flows.config import CONFIGS


def test_types_are_what_they_say():
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=CONFIGS.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
