"""From a clone to the first plot, in a clean environment, with the first command of the README. Needs the network.

    python -m pytest -n0 -s -m slow tests/test_first_plot.py

prints how long each part takes, and how much of that is CPU time.
"""

import os
import re
import resource
import subprocess
import time

import pytest

from lattice_flows.config import CONFIGS

ROOT = CONFIGS.parent


@pytest.mark.slow
def test_the_first_command_of_the_readme_leads_to_a_plot(tmp_path, capsys):
    command = re.search(r"```bash\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    parts = [f"git clone --quiet {ROOT} .", *command.split(" && ")]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    begin, lines = time.time(), []
    for part in parts:
        start, cpu = time.time(), _cpu()
        done = subprocess.run(part, shell=True, cwd=tmp_path, env=clean, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        lines.append(f"{time.time() - start:6.1f} s, CPU {_cpu() - cpu:6.1f} s  {part}")
    first = min(picture.stat().st_mtime for picture in (tmp_path / "runs").rglob("*.png"))
    with capsys.disabled():
        print("", *lines, f"{first - begin:6.1f} s  from the clone to the first plot", sep="\n")


def _cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
