"""TensorFlow's own log lines stay off the screen, everything else does not."""

import os
import subprocess
import sys

import pytest

from lattice_flows import quiet

LINES = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"I0000 00:00:1795667641.383447   10784 port.cc:153] oneDNN custom operations are on.\n"
    b"E0000 00:00:1795667646.556705   10784 cuda_platform.cc:52] failed call to cuInit\n"
)


@pytest.fixture
def imported(tmp_path):
    """Imports a module in TensorFlow's place, in a process whose user has set a level of log lines, or none."""

    def run(module, level=None):
        (tmp_path / "tensorflow.py").write_text(module)
        code = "import lattice_flows, os, tensorflow; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
        environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        environment |= {"PYTHONPATH": str(tmp_path)} | ({} if level is None else {"TF_CPP_MIN_LOG_LEVEL": level})
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)

    return run


@pytest.mark.parametrize(("level", "then", "seen"), [(None, "3", ""), ("3", "3", ""), ("0", "0", LINES.decode())])
def test_log_lines_stay_away_unless_the_user_asks_for_them(imported, level, then, seen):
    """Those of TensorFlow itself are looked for in `test_packaging.py`."""
    done = imported(f"import os; os.write(2, {LINES!r})", level)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{then}\n", seen)


@pytest.fixture
def held(capfd):
    """What is seen of the standard error of a block."""

    def seen(write, error=None):
        try:
            with quiet._log_lines_held_back():
                write()
                if error is not None:
                    raise error
        except ImportError:
            pass
        return capfd.readouterr().err

    return seen


def test_only_log_lines_are_held_back(held):
    assert held(lambda: os.write(2, LINES + b"UserWarning: something else\n")) == "UserWarning: something else\n"


def test_a_failing_import_shows_everything(held):
    assert held(lambda: os.write(2, LINES), ImportError("libcudart")) == LINES.decode()


def test_the_traceback_of_a_failing_import_is_seen(imported):
    done = imported("raise ImportError('wrong processor')")
    assert done.returncode == 1 and done.stderr.endswith("ImportError: wrong processor\n") and "Traceback" in done.stderr
