"""Whatever stands in a file, in a configuration or on the command line: a result, or one error of the user in one line.

The fast tests throw some hundred examples, always the same ones; a hundred times as many are a slow test of minutes:

    python -m pytest -m slow tests/test_hostile_input.py
"""

import contextlib
import importlib
import json
import shutil
import types
import warnings

import h5py
import mangling
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import lattice_flows as lf
from lattice_flows import command_line
from lattice_flows.config import RunConfig, load
from lattice_flows.config.merging import on_top
from lattice_flows.errors import UserError
from lattice_flows.flows import load_weights, save_weights, transfer_weights
from lattice_flows.io.arrays import Checkpoints, read_arrays, write_arrays
from lattice_flows.io.ensembles import Ensemble
from lattice_flows.io.runs import RunDirectory
from lattice_flows.paper import recorded_runs
from lattice_flows.paper.cases import Case
from lattice_flows.paper.ingredients import stored
from lattice_flows.pipeline import build_model, completed, open_trained, recorded_config
from lattice_flows.production import measure_run
from lattice_flows.training.state import Summary, TrainingState

HOW = {"derandomize": True, "deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
MANY = 100  # times as many examples in the slow test


@contextlib.contextmanager
def nothing_but_user_errors():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy, about overflow
            yield
    except UserError as error:
        assert str(error) and "\n" not in str(error) and len(str(error)) < 3000, str(error)


@pytest.fixture(scope="module")
def files(tmp_path_factory, small_config):
    """A finished run, as `reproduce.py` leaves it, and the flow that it holds."""
    folder, config = tmp_path_factory.mktemp("hostile"), completed(small_config())
    flow, action = build_model(config)
    summary = Summary(10, 1.0, 1.0, 100, 0.5, 0.5, "the end")
    (folder / "config.yaml").write_text(config.dump())
    save_weights(folder / "weights.npz", flow, {"config": config.model_dump(mode="json"), "summary": summary._asdict()})
    state = TrainingState(step=10, weights=_values(flow), best_weights=_values(flow), optimizer={"0": np.zeros(3, np.float32)})
    state.save(Checkpoints(folder / "checkpoints"))
    lf.sample(flow, action, 1000, path=folder / "ensemble.h5", progress=False, thermalisation=10).close()
    result = stored("affine", Case("E1"))
    (folder / "result.json").write_text(json.dumps(result.to_json()))
    environment = {"command": ["reproduce.py"], "cpu_count": 2, "platform": "Linux", "tensorflow": "2.21.0", "commit": "abc"}
    (folder / "environment.json").write_text(json.dumps(environment))
    (folder / "metrics.csv").write_text("step,seconds,acceptance,ess,loss,log_z\n" + "1,1,0.5,0.5,1,0\n" * 5)
    contents = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    contents |= {file.name: file.read_bytes() for file in (folder / "checkpoints").iterdir()}
    return types.SimpleNamespace(folder=folder, flow=flow, contents=contents, scratch=tmp_path_factory.mktemp("scratch"))


def _values(flow):
    return {name: variable.numpy() for name, variable in flow.named_variables().items()}


def throw(strategy, check, number):
    """Runs a check on as many examples."""

    @settings(max_examples=number, phases=[Phase.generate], report_multiple_bugs=False, **HOW)
    @given(strategy)
    def thrown(example):
        with nothing_but_user_errors():
            check(example)

    thrown()


def damaged_bytes(files, name, read, number):
    path = files.scratch / name

    def check(content):
        path.write_bytes(content)
        read(path)

    throw(mangling.mangled(files.contents[name]), check, number)


def each_weight(files, path):
    """All that reads a weights file."""
    for read in (read_arrays, recorded_config, lambda path: load_weights(path, files.flow), lambda path: lf.load(path)):
        with nothing_but_user_errors():
            read(path)
    transfer_weights(path, files.flow)


def bytes_of_weights(files, times):
    damaged_bytes(files, "weights.npz", lambda path: each_weight(files, path), 50 * times)


def arrays_of_weights(files, times):
    """Archives that are whole, but not what they should be."""
    path = files.scratch / "weights.npz"
    arrays, diagnostics = read_arrays(files.folder / "weights.npz")

    def check(example):
        write_arrays(path, *example)
        each_weight(files, path)

    content = st.tuples(mangling.other_arrays(arrays), st.just(diagnostics))
    described = st.tuples(st.just(arrays), mangling.replaced(diagnostics).filter(lambda tree: isinstance(tree, dict)))
    throw(content | described, check, 20 * times)


def checkpoints(files, times):
    (name,) = (name for name in files.contents if name.startswith("step_"))
    folder = files.scratch / "checkpoints"
    folder.mkdir(exist_ok=True)
    arrays, diagnostics = read_arrays(files.folder / "checkpoints" / name)

    def resume():
        state = TrainingState.latest(folder, lambda line: None)
        state.give(files.flow, types.SimpleNamespace(variables=[], optimizer=None))

    def whole(example):
        write_arrays(folder / name, *example)
        resume()

    def damaged(content):
        (folder / name).write_bytes(content)
        resume()

    content = st.tuples(mangling.other_arrays(arrays), mangling.replaced(diagnostics).filter(lambda tree: isinstance(tree, dict)))
    throw(mangling.mangled(files.contents[name]), damaged, 80 * times)
    throw(content, whole, 40 * times)


def bytes_of_ensembles(files, times):
    def read(path):
        with Ensemble(path) as ensemble:
            repr(ensemble)
            ensemble.verify()
            assert len(ensemble) == 1000

    damaged_bytes(files, "ensemble.h5", read, 60 * times)


def parts_of_ensembles(files, times):
    """Files without checksums, as those of earlier versions, in which data sets or attributes are other ones."""
    path = files.scratch / "ensemble.h5"
    with h5py.File(files.folder / "ensemble.h5") as file:
        names = ["phi", "log_weight", "index", "accepted", *(f"series/{name}" for name in file["series"])]
        arrays, attributes = {name: file[name][:] for name in names}, {key: json.loads(file.attrs[key]) for key in file.attrs}
    attributes.pop("checksums")

    def check(example):
        data, made = example
        with h5py.File(path, "w") as file:
            for name, values in data.items():
                with contextlib.suppress(TypeError):  # no type of HDF5
                    file[name] = values
            for key, value in made.items():
                with contextlib.suppress(ValueError, TypeError, RuntimeError):  # no name of HDF5
                    file.attrs[key] = json.dumps(value)
        measure_run(path)

    other = st.tuples(mangling.other_arrays(arrays), st.just(attributes))
    made = st.tuples(st.just(arrays), mangling.replaced(attributes).filter(lambda tree: isinstance(tree, dict)))
    throw(other | made, check, 12 * times)


def recorded_files(files, times):
    """The files of a finished run, as `benchmark.py --record` reads them."""
    folder, record = files.scratch / "run", files.scratch / "runs.yaml"
    shutil.copytree(files.folder, folder, dirs_exist_ok=True)
    for name in ("result.json", "environment.json", "metrics.csv", "config.yaml"):

        def read(content, name=name):
            (folder / name).write_bytes(content)
            record.unlink(missing_ok=True)
            recorded_runs.record(folder, record)

        content = mangling.mangled(files.contents[name])
        if name.endswith("json"):
            content |= mangling.replaced(json.loads(files.contents[name])).map(lambda tree: json.dumps(tree).encode())
        throw(content, read, 12 * times)
        (folder / name).write_bytes(files.contents[name])


def bytes_of_configurations(files, times):
    def read(path):
        completed(RunDirectory.open(path.parent)[1])

    damaged_bytes(files, "config.yaml", read, 40 * times)


def trees_of_configurations(files, times):
    tree = yaml.safe_load(files.contents["config.yaml"])

    def check(example):
        config = RunConfig.checked(on_top(tree, example), "tree")
        config.stage_configs()
        completed(config)

    def written(example):
        path = files.scratch / "tree.yaml"
        path.write_text(yaml.safe_dump(example))
        completed(load(path))

    throw(mangling.replaced(tree).filter(lambda tree: isinstance(tree, dict)), check, 100 * times)
    throw(mangling.replaced(tree, mangling.FINITE), written, 15 * times)


VALUES = ("0", "-1", "1", "7", "1e400", "nan", "-inf", "1.5", "E1", "all", "hmc", "true", "", "x" * 300, "-", "--", "\ud800", "ä")


def combinations_of_flags(files, times):
    """Up to where TensorFlow would be imported."""
    for command in command_line.COMMANDS:
        own = importlib.import_module(f"lattice_flows.scripts.{command}").FLAGS
        names = [flag.name for flag in own if not flag.positional] + ["nonsense", "undefok", "flagfile", "no" + own[0].name]
        flag = st.builds(
            "{}{}{}{}".format,
            st.sampled_from(("--", "-")),
            st.sampled_from(names),
            st.sampled_from(("=", " ", "")),
            st.sampled_from(VALUES) | st.text(max_size=5),
        )

        def check(arguments, own=own, command=command):
            flags = command_line.parse(command, "", own, [word for argument in arguments for word in argument.split(" ", 1)])
            if command in ("train", "baseline"):
                command_line.configuration(flags.config, flags)
            command_line.overrides(flags)

        needed = st.lists(st.sampled_from(("--config=E1", f"--out={files.scratch / 'out'}", "--sampler=hmc", "--run=r", "e.h5")))
        throw(st.builds(list.__add__, needed, st.lists(flag, max_size=4)), check, 20 * times)


CHECKS = (
    bytes_of_weights,
    arrays_of_weights,
    checkpoints,
    bytes_of_ensembles,
    parts_of_ensembles,
    recorded_files,
    bytes_of_configurations,
    trees_of_configurations,
    combinations_of_flags,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nothing_but_user_errors(check, files):
    check(files, 1)


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nothing_but_user_errors_from_many_more(check, files):
    check(files, MANY)


def test_the_whole_files_can_be_read(files):
    """So that what is refused above is refused for what was done to it."""
    each_weight(files, files.folder / "weights.npz")
    assert open_trained(files.folder).summary.steps == 10
    assert TrainingState.latest(files.folder / "checkpoints", print).step == 10
    assert measure_run(files.folder).chain["length"] == 1000
    recorded_runs.record(files.folder, files.scratch / "whole.yaml")
