"""The console command, exit codes and what is seen of errors."""

import io
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from lattice_flows import command_line
from lattice_flows.command_line import COMMANDS, shared
from lattice_flows.config import CONFIGS, ConfigError
from lattice_flows.io.files import FolderInUse

SCRIPTS = CONFIGS.parent / "scripts"


def test_every_script_is_a_command_and_every_command_a_script():
    assert {file.stem for file in SCRIPTS.glob("*.py")} - {"__init__"} == set(COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_alone_it_lists_the_commands(capsys, arguments):
    assert command_line.main(arguments) == 0
    text = capsys.readouterr().out
    assert all(f"  {name}" in text for name in COMMANDS)


def test_an_unknown_command_names_the_nearest(capsys):
    assert command_line.main(["reprodcue", "--table=E1"]) == 2
    assert capsys.readouterr().err == "error: unknown command 'reprodcue': did you mean 'reproduce'?\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command(capsys, name):
    with pytest.raises(SystemExit) as exit_of:
        command_line.main([name, "--help"])
    text = capsys.readouterr().out
    assert exit_of.value.code == 0 and text.startswith(f"usage: lattice-flows {name} ")
    assert "python scripts/" not in text and "--tpu" not in text


def test_the_help_of_every_script_needs_no_tensorflow():
    """Of all in one process, whose time is then above that of each."""
    code = (
        "import runpy, sys\n"
        f"for name in {[*COMMANDS]}:\n"
        f"    sys.argv = [{str(SCRIPTS)!r} + f'/{{name}}.py', '--help']\n"
        "    try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "    except SystemExit as end: print(name, 'ended with', end.code)\n"
        "    print(name, 'heavy:', {'tensorflow', 'matplotlib', 'scipy'} & set(sys.modules))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert f"usage: python scripts/{name}.py " in done.stdout
        assert f"{name} ended with 0\n{name} heavy: set()\n" in done.stdout, done.stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1  # second of processor time


def test_an_error_that_the_user_can_mend_is_one_line(capsys):
    def fails(flags):
        raise ConfigError("lam must not be negative, got -1")

    assert command_line.run(fails, (), "", [], "p") == 2
    assert capsys.readouterr() == ("", "error: lam must not be negative, got -1\n")
    assert command_line.run(lambda flags: 0, (), "", ["--x"], "p") == 2
    assert capsys.readouterr().err == "error: unknown flag '--x': known: --help (p --help lists all flags)\n"


def test_output_without_utf_8_or_without_space(monkeypatch):
    def main(flags):
        print("\N{GREEK SMALL LETTER PHI}" * 5)
        return 0

    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", latin)
    assert command_line.run(main, (), "", []) == 0
    assert latin.buffer.getvalue() == b"?????\n"
    monkeypatch.setattr(sys, "stdout", None)
    assert command_line.run(main, (), "", []) == 0
    sys.stdout.close()
    with Path("/dev/full").open("w") as device:
        full = subprocess.run([sys.executable, SCRIPTS / "train.py", "--help"], stdout=device, stderr=-1, text=True)
    assert full.returncode == 2 and full.stderr == "error: the output cannot be written: no space is left on its device\n"


def test_resuming_is_offered_where_the_command_can(capsys):
    def in_use(flags):
        raise FolderInUse("the output folder out is already in use: choose another folder")

    assert command_line.run(in_use, shared("resume"), "", [], "p") == 2
    assert capsys.readouterr().err.endswith("choose another folder; --resume continues that run\n")
    assert command_line.run(in_use, (), "", [], "p") == 2
    assert capsys.readouterr().err.endswith("choose another folder\n")


def test_the_command_line_of_this_process(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["scripts/train.py", "--out", "a folder"])
    assert command_line.command() == "python scripts/train.py --out 'a folder'"
    monkeypatch.setattr(sys, "argv", [str(Path("/usr/bin/lattice-flows")), "train"])
    assert command_line.command() == "lattice-flows train"
