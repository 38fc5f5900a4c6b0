"""Rules of the house that hold for all files."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lattice_flows
from lattice_flows.config import CONFIGS

ROOT = CONFIGS.parent
PACKAGE = ROOT / "lattice_flows"
MODULES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "paper").glob("*.py"), *(ROOT / "scripts").glob("*.py")])
ROOMS_OF_PARTS = ("actions", "bijectors", "networks", "samplers")


def room_of(file: Path) -> str:
    """The folder or module of the package that a file belongs to."""
    parts = file.relative_to(PACKAGE if PACKAGE in file.parents else ROOT).with_suffix("").parts
    return parts[0]


def floors() -> dict[str, tuple[int, int]]:
    """Room -> floor, and place on it from the left, from the diagram in CONTRIBUTING.md."""
    diagram = re.search(r"```text\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)[1]
    lines = (line.split() for line in diagram.splitlines())
    return {room: (int(number), place) for number, *rooms in lines for place, room in enumerate(rooms)}


def imported_rooms(file: Path) -> Iterator[str]:
    """The rooms that a file imports from anywhere in it."""
    homes = {name: module for name, module in lattice_flows._HOMES.items()}
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            below = node.module == "lattice_flows"
            names = [f"{node.module}.{alias.name}" for alias in node.names] if below else [node.module]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "lattice_flows" and rest and rest != "__version__":
                first = rest.split(".")[0]
                yield homes.get(first, first)


def test_the_diagram_has_every_room():
    assert set(floors()) == {room_of(file) for file in MODULES} - {"__init__"}


def test_imports_go_down_the_floors_of_the_diagram():
    """And on a floor to the left, so that there is no cycle of rooms."""
    floor = floors()
    wrong = {
        f"{file.relative_to(ROOT)} (floor {floor[room_of(file)][0]}) imports {room} (floor {floor[room][0]})"
        for file in MODULES
        if file != PACKAGE / "__init__.py"  # which imports nothing until it is asked to
        for room in imported_rooms(file)
        if room != room_of(file) and floor[room] >= floor[room_of(file)]
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_modules_are_short():
    longest = {PACKAGE / "training" / "trainer.py": 260} | {script: 80 for script in (ROOT / "scripts").glob("*.py")}
    for module in [*MODULES, *(ROOT / "tests").rglob("*.py")]:
        lines = len(module.read_text().splitlines())
        assert lines < longest.get(module, 301), f"{module.relative_to(ROOT)} has {lines} lines"


def test_no_module_is_named_after_nothing():
    assert not {"utils", "helpers", "common", "base"} & {module.stem for module in MODULES}


def test_parts_are_asked_what_they_can_do_and_not_what_they_are():
    """No `isinstance` of a part's class outside the room where it is defined."""
    home = {
        node.name: room
        for room in ROOMS_OF_PARTS
        for file in (PACKAGE / room).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    for file in MODULES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                named = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
                named |= {part.attr for part in ast.walk(node.args[1]) if isinstance(part, ast.Attribute)}
                wrong = {name for name in named if name in home and home[name] != room_of(file)}
                assert not wrong, f"{file.relative_to(ROOT)}, line {node.lineno}: isinstance of {wrong}"


def test_private_parts_of_tfp_are_used_in_one_module():
    users = [file for file in MODULES if "tensorflow_probability.python" in file.read_text() or "cache_util" in file.read_text()]
    assert users == [PACKAGE / "bijectors" / "augmented.py"]


def test_the_gate_runs_the_test_command_of_the_readme():
    commands = re.findall(r"```bash\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    (command,) = [command for command in commands if "pytest" in command and "venv" in command]
    assert command in (ROOT / ".ci" / "run").read_text()


def test_the_version_is_one_number():
    version = lattice_flows.__version__
    assert f"version = {version}\n" in (ROOT / "setup.cfg").read_text()
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_style():
    for arguments in (["check"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *arguments, str(ROOT)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_what_users_wait_for_does_not_import_tensorflow():
    rooms = {"command_line", "plots", "report", "scripts", "watch", *(room for room, (floor, _) in floors().items() if floor == 0)}
    files = [file for file in MODULES if room_of(file) in rooms]
    paths = (file.relative_to(PACKAGE if PACKAGE in file.parents else ROOT).with_suffix("") for file in files)
    names = ", ".join(".".join(["lattice_flows", *(part for part in path.parts if part != "__init__")]) for path in paths)
    code = f"import sys, {names}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", lattice_flows.__all__)
def test_the_namespace_has_all_that_it_lists(name):
    assert getattr(lattice_flows, name) is not None and name in dir(lattice_flows)
