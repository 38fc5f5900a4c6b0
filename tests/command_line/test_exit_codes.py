"""How commands end, and what their exit codes say."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from lattice_flows import command_line
from lattice_flows.command_line import AGREED, BUG, INTERRUPTED, NOT_TRUSTWORTHY, UNUSABLE, Interrupted, UsageError, entry, shared
from lattice_flows.command_line.exit_codes import MEANING
from lattice_flows.errors import UserError


def ended(capsys, error, *names):
    """The exit code of a command that raises an error, and what it says on standard error."""

    def fails(flags):
        raise error

    code = command_line.run(fails, shared(*names), "", [], "p")
    out, said = capsys.readouterr()
    assert out == ""
    return code, said


def test_the_codes_are_different_and_as_documented():
    assert (AGREED, NOT_TRUSTWORTHY, UNUSABLE, INTERRUPTED, BUG) == (0, 1, 2, 3, 70) == tuple(MEANING)


def test_the_exit_code_of_a_finished_command_is_its_own():
    assert [command_line.run(lambda flags, code=code: code, (), "", [], "p") for code in (0, 1)] == [0, 1]


def test_what_the_user_can_correct(capsys):
    assert ended(capsys, UserError("lam is -1")) == (UNUSABLE, "error: lam is -1\n")
    assert ended(capsys, UsageError("unknown flag")) == (UNUSABLE, "error: unknown flag (p --help lists all flags)\n")


def test_a_bug_has_a_traceback_and_says_that_it_is_one(capsys, monkeypatch):
    """By an error in the code of the package; one in a part of the user's own, such as this file, says where it is."""
    monkeypatch.setattr(entry, "parse", None)
    assert command_line.run(lambda flags: 0, (), "", [], "p") == BUG
    *above, last = capsys.readouterr().err.splitlines()
    assert above[0].startswith("Traceback") and above[-1] == "TypeError: 'NoneType' object is not callable"
    assert last.startswith("error: this is a bug in lattice_flows ") and "please report" in last


def test_an_error_in_the_users_own_code_says_where_it_is(capsys):
    code, said = ended(capsys, ZeroDivisionError("division by zero"))
    *above, last = said.splitlines()
    assert code == BUG and above[0].startswith("Traceback") and above[-1] == "ZeroDivisionError: division by zero"
    assert re.match(rf"error: this comes from {re.escape(__file__)}, line \d+, which is not of lattice_flows", last)
    assert "report" not in last


def test_too_little_memory_is_no_bug(capsys):
    class ResourceExhaustedError(Exception):
        """As TensorFlow's, which this need not import."""

    for error in (MemoryError("Unable to allocate 7 TiB"), ResourceExhaustedError("Unable to allocate 7 TiB\nat")):
        code, said = ended(capsys, error, "lattice_size", "chain_length")
        assert code == UNUSABLE and said.count("\n") == 1
        assert said.startswith("error: not enough memory: reduce --lattice_size, --chain_length, or the batch sizes")
        assert said.endswith("(Unable to allocate 7 TiB)\n")


def test_how_to_go_on_is_said_where_the_command_can(capsys):
    assert ended(capsys, KeyboardInterrupt(), "resume") == (
        INTERRUPTED,
        "interrupted; the same command with --resume continues where it stopped\n",
    )
    assert ended(capsys, KeyboardInterrupt()) == (INTERRUPTED, "interrupted\n")
    assert ended(capsys, Interrupted()) == (INTERRUPTED, "terminated (SIGTERM)\n")


def test_sigterm_ends_a_command_as_ctrl_c_does(capsys):
    saved, before = [], signal.getsignal(signal.SIGTERM)

    def works(flags):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        except KeyboardInterrupt:
            os.kill(os.getpid(), signal.SIGTERM)  # as `timeout` and batch systems do; it does not disturb the saving
            saved.append(True)
            raise

    start = time.perf_counter()
    assert command_line.run(works, shared("resume"), "", [], "p") == INTERRUPTED
    assert saved == [True] and time.perf_counter() - start < 5 and signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().err == "terminated (SIGTERM); the same command with --resume continues where it stopped\n"


@pytest.mark.parametrize("write", ["print", "Progress().info"])
def test_a_reader_that_has_gone_is_no_error(write):
    code = (
        "import sys\nfrom lattice_flows import command_line\nfrom lattice_flows.progress import Progress\n"
        f"def main(flags):\n    write = {write}\n    for _ in range(10**5): write('x' * 100)\n    return 0\n"
        "sys.exit(command_line.run(main, (), ''))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == INTERRUPTED


@pytest.mark.parametrize("name", command_line.COMMANDS)
def test_the_help_of_every_command_says_what_its_exit_codes_mean(capsys, name):
    with pytest.raises(SystemExit):
        command_line.main([name, "--help"])
    text = capsys.readouterr().out
    assert all(f"\n  {code:<26}  {MEANING[code][:40]}" in text for code in MEANING)
