"""The site of the documentation: its pages are complete and true, it builds without warnings, and its examples run."""

import importlib.util
import inspect
import json
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
import yaml

import lattice_flows as lf
from lattice_flows.command_line import main
from lattice_flows.config import CONFIGS, RunConfig, SamplerConfig, ScheduleConfig, TrainingConfig, load
from lattice_flows.config.schema import ChainConfig
from lattice_flows.measurement.result import Result
from lattice_flows.pipeline import completed

ROOT = CONFIGS.parent
PAGES = {page.relative_to(ROOT / "docs").as_posix(): page.read_text() for page in sorted((ROOT / "docs").rglob("*.md"))}
PARTS = {"action": lf.actions.ACTIONS, "flow": lf.flows.FLOWS, "optimizer": lf.training.OPTIMIZERS}


def leaves(nav):
    for entry in nav:
        for target in entry.values() if isinstance(entry, dict) else [entry]:
            yield from leaves(target) if isinstance(target, list) else [target]


def keywords(registry):
    """All keyword parameters of the parts of a registry."""
    signatures = map(inspect.signature, registry.values())
    return {key for signature in signatures for key, parameter in signature.parameters.items() if parameter.kind == 3}


def known_keys():
    """Dotted keys that a configuration can have."""
    found = {f"training.{key}" for key in TrainingConfig.model_fields} | {f"chain.{key}" for key in ChainConfig.model_fields}
    found |= {f"training.schedule.{key}" for key in ScheduleConfig.model_fields}
    found |= {f"training.optimizer.{key}" for key in keywords(PARTS["optimizer"]) | {"name"}}
    found |= {f"{kind}.{key}" for kind in ("action", "flow") for key in keywords(PARTS[kind]) | {"name"}}
    of_samplers = [*SamplerConfig.model_fields, *keywords(lf.samplers.SAMPLERS)]
    found |= {f"samplers.{name}" + key for name in lf.samplers.SAMPLERS for key in ("", *(f".{key}" for key in of_samplers))}
    return found | {"lattice.shape"}


def spans(text):
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def blocks(language):
    return [
        pytest.param(code, id=f"{name}:{number}")
        for name, text in PAGES.items()
        for number, code in enumerate(re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    ]


def test_every_page_is_in_the_navigation():
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert sorted(leaves(settings["nav"])) == sorted(PAGES)


def test_every_public_module_is_on_a_page_and_every_module_there_exists():
    there = set(re.findall(r"^::: (\S+)$", "".join(PAGES.values()), re.MULTILINE))
    for name in there:
        module, _, last = name.rpartition(".")  # a function in a module of its name, or a module
        assert importlib.util.find_spec(module if module.endswith(f".{last}") else name), name
    modules = {name for name in lf.__all__ if inspect.ismodule(getattr(lf, name))}
    assert modules <= {name.split(".")[1] for name in there}


def test_every_flow_and_every_sampler_is_explained():
    presets = [path.stem for path in (CONFIGS / "flows").glob("*.yaml")]
    pages = [("flows.md", [*lf.flows.FLOWS, *presets]), ("samplers.md", lf.samplers.SAMPLERS)]
    for page, registry in [*pages, ("choosing.md", [*presets, *lf.samplers.SAMPLERS])]:
        assert {name for name in registry if f"`{name}`" not in PAGES[page]} == set()


@pytest.mark.parametrize("code", blocks("yaml"))
def test_a_configuration_is_understood(code, tmp_path):
    (tmp_path / "block.yaml").write_text(code)
    assert isinstance(completed(load(tmp_path / "block.yaml")), RunConfig)


def test_the_keys_that_pages_name_exist():
    known = known_keys() | {"flow.distribution", *(f"flow.{name}" for name in dir(lf.Flow))}  # in Python
    sections = ("action", "chain", "flow", "lattice", "samplers", "training")
    named = {span for text in PAGES.values() for span in spans(text) if re.fullmatch(rf"({'|'.join(sections)})(\.\w+)+", span)}
    assert len(named) > 10 and not named - known


def test_the_messages_that_troubleshooting_explains_exist():
    """Their words, between what differs, stand in the sources."""
    sources = " ".join(path.read_text() for folder in ("lattice_flows", "paper") for path in (ROOT / folder).rglob("*.py"))
    sources = re.sub(r'"\s*\n\s*f?"', "", sources)  # texts over several lines
    rows = re.findall(r"^\| `(.*?)` ?(?:,|\|)", PAGES["troubleshooting.md"], re.MULTILINE)
    bold = re.findall(r"^\*\*`(.*?)`\*\*", PAGES["troubleshooting.md"], re.MULTILINE)
    assert len(rows) > 10 and len(bold) > 5
    for message in rows + bold:
        for words in re.split(r"\.\.\.|'[^']*'", message):
            assert words.strip(" :;,?") in sources, f"{message!r}: {words!r}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the runs of the tutorial, made small."""
    folder = tmp_path_factory.mktemp("documentation")
    small = {
        "lattice": {"shape": [4, 4]},
        "action": {"name": "scalar_phi4", "m2": -4.0, "lam": 8.0},
        "flow": {"name": "affine", "layers": 2, "network": {"name": "dense", "hidden": [8]}},
        "training": {
            "steps": 200,
            "evaluate_every": 100,
            "optimizer": "adam",
            "gradient": "reparameterisation",
            "learning_rate": 0.01,
        },
        "chain": {"length": 3000, "thermalisation": 100},
        "samplers": {"hmc": {"chains": 16, "updates": 200, "thermalisation": 100, "successive": 50}},
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(small))
    main(["train", f"--config={folder}/small.yaml", f"--out={folder}/runs/my_flow"])
    main(["sample", f"--run={folder}/runs/my_flow", f"--out={folder}/runs/my_ensemble"])
    main(["baseline", "--sampler=hmc", f"--config={folder}/small.yaml", f"--out={folder}/runs/my_hmc"])
    return folder


@pytest.mark.slow
def test_every_file_of_a_run_and_all_that_is_in_it_is_described(folder):
    described = {word for span in spans(PAGES["files.md"]) for word in re.findall(r"[\w.*]+", span)}
    described |= set(Result.__dataclass_fields__)  # whose docstring is on the page
    files = [path for path in (folder / "runs").rglob("*") if path.is_file()]
    found = {re.sub(r"step_\d+", "step_*", path.name) for path in files}
    for path in files:
        if path.suffix == ".json":
            content = json.loads(path.read_text())
            found |= content.keys() - content.get("chain", {}).keys() - content.get("action", {}).keys()
        if path.suffix == ".npz":
            found |= json.loads(str(np.load(path)["__facts__"])).keys()
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                found |= file.attrs.keys() | file.keys()
                found |= {re.sub("schwinger_dyson_.*", "schwinger_dyson_*", name) for name in file["series"]}
    assert found - described == set()


@pytest.mark.slow
@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if "```python\n" in text])
def test_the_python_of_a_page_runs(page, folder, monkeypatch, capsys):
    """Its examples one after the other, in the folder of the tutorial."""
    monkeypatch.chdir(folder)
    namespace = {"__name__": "example"}
    for code in re.findall(r"^```python\n(.*?)^```", PAGES[page], re.DOTALL | re.MULTILINE):
        exec(compile(code, page, "exec"), namespace)
    assert capsys.readouterr().out or page == "api/index.md"


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text()
        assert not re.findall(r'<(?:script|img|iframe)[^>]*src="https?:[^"]*"|<link[^>]*stylesheet[^>]*https?:[^>]*>', text), page
        assert "arithmatex" not in text and not re.search(r"^\{\{ \w+", text, re.MULTILINE), page
