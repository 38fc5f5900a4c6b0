"""The wheel and the source distribution hold all that the commands need, under one name, and work from any folder."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from lattice_flows.config import CONFIGS

ROOT = CONFIGS.parent
LEFT_OUT = shutil.ignore_patterns(".*cache", ".git", ".venv", "runs", "build", "dist", "__pycache__", "*.egg-info")
BUILD = "import sys, setuptools.build_meta as backend; getattr(backend, sys.argv[1])(sys.argv[2])"


def call(*command, cwd, **environment):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=cwd, env=os.environ | environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The source distribution of the repository and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "source", ignore=LEFT_OUT)
    call(sys.executable, "-c", BUILD, "build_sdist", folder, cwd=folder / "source")
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    call(sys.executable, "-c", BUILD, "build_wheel", folder, cwd=unpacked)
    (wheel,) = folder.glob("*.whl")
    return unpacked, wheel


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Calls the installed command in an empty folder: what it says and its exit code."""
    site, empty = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("empty")
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", "--target", site)
    call(sys.executable, *pip, built[1], cwd=empty)

    def command(*arguments):
        program = [sys.executable, str(site / "bin" / "lattice-flows"), *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"} | {
            "PYTHONPATH": str(site)
        }
        done = subprocess.run(program, capture_output=True, text=True, cwd=empty, env=environment)
        return done.stdout + done.stderr, done.returncode

    return command, site, empty


def test_every_folder_with_modules_is_a_package_of_the_wheel():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    packages = settings["options"]["packages"].split()
    rooms = {file.parent.relative_to(ROOT).as_posix().replace("/", ".") for file in (ROOT / "lattice_flows").rglob("*.py")}
    assert sorted(packages) == sorted(rooms | {"lattice_flows.configs", "lattice_flows.paper", "lattice_flows.scripts"})


def test_the_wheel_has_one_name_and_everything_that_commands_need(built):
    names = zipfile.ZipFile(built[1]).namelist()
    assert len({name.split("/")[0] for name in names if ".dist-info/" not in name}) == 1
    for folder, inside in (("lattice_flows", ""), ("paper", "paper/"), ("configs", "configs/"), ("scripts", "scripts/")):
        wanted = [file for kind in ("*.py", "*.yaml", "*.npz", "*.j2", "results/*/*.json") for file in (ROOT / folder).rglob(kind)]
        assert {f"lattice_flows/{inside}{file.relative_to(ROOT / folder).as_posix()}" for file in wanted} <= set(names)


def test_the_source_distribution_can_be_tested(built):
    unpacked, _ = built
    for name in ("tests/conftest.py", "configs/E1.yaml", "paper/trained/affine/E1.npz", "CHANGELOG.md", ".ci/run", "README.md"):
        assert (unpacked / name).exists(), name
    assert not list(unpacked.rglob("__pycache__"))


@pytest.mark.slow
def test_a_table_from_an_empty_folder(installed):
    """The fast tests make it in this process, in `test_scripts.py`, and look at what the wheel holds."""
    command, site, empty = installed
    text, code = command("reproduce", "--table", "E1", "--pretrained", "--chain_length", "1000", "--quick")
    assert code == 0 and "pole_mass_times_l" in text, text
    assert not re.search(r"^[IWE]\d{4} |oneDNN|cuInit|absl", text, re.MULTILINE), "log lines of TensorFlow"
    assert {path.name for path in empty.iterdir()} == {"runs"} and (empty / "runs" / "E1" / "result.json").exists()
    before = {path: path.stat().st_mtime_ns for path in site.rglob("*.yaml")}
    text, code = command("benchmark", "--record", "runs/E1")
    assert code == 2 and "in a clone of the repository, or name a file of your own with --record_to" in text
    assert before == {path: path.stat().st_mtime_ns for path in site.rglob("*.yaml")}


def test_names_of_commands_from_an_empty_folder(installed):
    command, *_ = installed
    assert command() == command("--help") and "reproduce" in command()[0] and command()[1] == 0
    text, code = command("reproduse")
    assert code == 2 and "did you mean 'reproduce'?" in text
    text, code = command("train", "--config=gomalizing_flow/3C2", "--flow=afine", "--out=nowhere")
    assert code == 2 and "unknown flow 'afine': did you mean 'affine'?" in text  # configurations are found
