"""TensorFlow's own log lines stay off the screen, everything else does not."""

import os
import subprocess
import sys

import pytest

from lattice_flows import quiet

USE_TENSORFLOW = "import lattice_flows, tensorflow as tf; tf.config.list_logical_devices(); print('done')"


def run(code, level=None):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    environment |= {} if level is None else {"TF_CPP_MIN_LOG_LEVEL": level}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


def test_nothing_of_tensorflow_reaches_the_screen():
    done = run(USE_TENSORFLOW)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_user_who_asks_for_log_lines_sees_them():
    done = run(USE_TENSORFLOW, level="0")
    assert done.returncode == 0 and "oneDNN custom operations" in done.stderr and "cpu_feature_guard" in done.stderr


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


LINES = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"I0000 00:00:1795667641.383447   10784 port.cc:153] oneDNN custom operations are on.\n"
    b"E0000 00:00:1795667646.556705   10784 cuda_platform.cc:52] failed call to cuInit\n"
)


def test_only_log_lines_are_held_back(held):
    assert held(lambda: os.write(2, LINES + b"UserWarning: something else\n")) == "UserWarning: something else\n"


def test_a_failing_import_shows_everything(held):
    assert held(lambda: os.write(2, LINES), ImportError("libcudart")) == LINES.decode()


def test_the_traceback_of_a_failing_import_is_seen(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise ImportError('wrong processor')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import lattice_flows, tensorflow"
    done = run(code)
    assert done.returncode == 1 and done.stderr.endswith("ImportError: wrong processor\n") and "Traceback" in done.stderr
