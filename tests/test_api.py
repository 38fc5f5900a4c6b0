"""Python first: five calls, without a folder or with one."""

from pathlib import Path

import numpy as np
import pytest

import lattice_flows as lf
from lattice_flows.config import ConfigError
from lattice_flows.errors import UserError
from lattice_flows.flows import save_weights
from lattice_flows.io.files import RunError
from lattice_flows.progress import Progress
from lattice_flows.training.devices import DeviceError, choose_strategy

ACTION = lf.ScalarPhi4(lf.Lattice((4, 4)), m2=-4.0, lam=8.0)
# An affine flow and Adam are compiled sooner than the default.
SMALL = {"layers": 2, "network": {"name": "dense", "hidden": [4]}, "fourier_scaling": False, "element_wise_maps": False}
QUICK = {"batch_size": 32, "optimizer": "adam", "gradient": "reparameterisation", "learning_rate": 0.01, "progress": False}


def small_flow():
    return lf.flows.affine(ACTION.lattice, **SMALL)


def weights_of(flow):
    return {name: variable.numpy() for name, variable in flow.named_variables().items()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A flow after a short training in a folder: flow, folder and summary."""
    flow, folder = small_flow(), tmp_path_factory.mktemp("trained") / "run"
    return flow, folder, lf.train(flow, ACTION, steps=30, evaluate_every=10, out=folder, **QUICK)


def test_the_first_five_lines(capsys):
    """With progress, of a flow and an optimizer that are compiled quickly; `scripts/reproduce.py` trains the default ones."""
    flow = small_flow()
    lf.train(flow, ACTION, steps=10, **{**QUICK, "progress": True})
    ensemble = lf.sample(flow, ACTION, 2000)
    print(lf.measure(ensemble))
    output = capsys.readouterr().out
    assert "compiling the training step" in output and "two_point_susceptibility" in output
    assert ensemble.phi.shape == (2000, 1, 4, 4)


def test_a_chain_and_its_numbers(trained, capsys):
    flow, _, summary = trained
    ensemble = lf.sample(flow, ACTION, 3000, seed=2, progress=False)
    result = lf.measure(ensemble)
    assert capsys.readouterr().out == ""
    # Five standard errors of 3000 successive decisions with an autocorrelation time of about one.
    assert abs(result.chain["acceptance"] - summary.acceptance) < 5 * np.sqrt(2 * 0.25 / 3000)
    assert result.chain["length"] == 3000 and result.seed == 2 and result.sampler == "independence"
    assert result.observables["phi_squared"].estimate.value == pytest.approx(np.mean(ensemble.phi.astype(float) ** 2), rel=1e-5)


def test_a_sampler_to_compare_with():
    ensemble = lf.baseline(ACTION, chains=8, updates=40, thinning=4, thermalisation=20, seed=2, progress=False)
    assert ensemble.phi.shape == (10, 8, 4, 4) and ensemble.attributes["sampler"] == "hmc" and ensemble.attributes["seed"] == 2
    with pytest.raises(ConfigError, match="sampler 'hmc': unknown key 'trajectory'"):
        lf.baseline(ACTION, chains=8, trajectory=40)
    with pytest.raises(ConfigError, match="needs a trained flow"):
        lf.baseline(ACTION, "independence")


def test_an_ensemble_on_disk(trained, tmp_path):
    path = tmp_path / "ensemble.h5"
    drawn = lf.sample(trained[0], ACTION, 1000, path=path, thermalisation=100, progress=False)
    assert path.exists() and str(lf.measure(path)) == str(lf.measure(drawn)) == str(lf.measure(str(path)))
    np.testing.assert_array_equal(drawn.phi, lf.sample(trained[0], ACTION, 1000, thermalisation=100, progress=False).phi)


def test_a_run_folder_and_its_weights_are_loaded(trained):
    flow, folder, _ = trained
    for source in (folder, str(folder), folder / "weights.npz"):
        loaded, action = lf.load(source)
        np.testing.assert_equal(weights_of(loaded), weights_of(flow))
        assert loaded.integration_steps == flow.integration_steps and action.component == ACTION.component


def test_a_training_goes_on_in_its_folder(trained):
    flow, folder, summary = trained
    with pytest.raises(RunError, match="already in use: choose another folder; resume=True continues that run"):
        lf.train(small_flow(), ACTION, steps=30, out=folder, **QUICK)
    other = small_flow()
    assert lf.train(other, ACTION, steps=30, evaluate_every=10, out=folder, resume=True, **QUICK).ess == summary.ess
    np.testing.assert_equal(weights_of(other), weights_of(flow))


@pytest.mark.slow
def test_a_training_begins_with_another(trained):
    flow = small_flow()
    settings = {"steps": 1, "evaluate_every": 1, "init_from": trained[1], "learning_rate": 1e-9}
    assert lf.train(flow, ACTION, **{**QUICK, **settings}).earlier_seconds > 0
    for name, array in weights_of(trained[0]).items():
        np.testing.assert_allclose(flow.named_variables()[name], array, atol=1e-6)


@pytest.mark.parametrize(("table", "flow"), [("E1", "affine"), ("E5", "affine_50"), ("E4", "continuous")])
def test_weights_come_with_the_package(table, flow):
    loaded, action = lf.load(table, flow=flow)
    phi = np.random.default_rng(1).normal(scale=0.4, size=(2, *action.lattice.shape))
    assert np.all(np.isfinite(loaded.log_prob(phi))) and loaded.lattice == action.lattice and action.parameters["m2"] == -4.0


def test_a_flow_is_chosen_among_weights_that_come_with_the_package_alone(trained):
    for source in (trained[1], trained[1] / "weights.npz"):
        with pytest.raises(ConfigError, match=r"load: flow='affine' is for weights that come with the package, and .* is there"):
            lf.load(source, flow="affine")


def test_a_flow_for_many_couplings_samples_where_it_stands(tmp_path):
    flow = lf.flows.conditioned(ACTION.lattice, knots=(4.0, 9.0), of={"name": "affine", **SMALL})
    for sampler in ("independence", "pcn"):
        with pytest.raises(ConfigError, match=r"the flow stands at lam = 6.5, the action has 8, .* give flow.at\(8\)"):
            lf.sample(flow, ACTION, 1000, sampler=sampler, progress=False)
    massless = ACTION.at(m2=0.0)
    about_zero = lf.flows.conditioned(ACTION.lattice, condition="m2", knots=(-0.3, 0.6), of={"name": "affine", **SMALL})
    about_zero.set_coupling(0.0)  # which rounding misses
    assert len(lf.sample(about_zero, massless, 1000, progress=False)) == 1000
    flow.set_coupling(8.0)
    assert len(lf.sample(flow, ACTION, 1000, progress=False)) == 1000


def test_another_flow_with_the_same_weights_is_another_chain(tmp_path):
    """The weights of a symmetrized flow are those of the flow that it is made of."""
    prior = {"name": "free_field", "mean_field": 0.5}
    one = lf.flows.affine(ACTION.lattice, **SMALL, prior=prior)
    both = lf.flows.FLOWS.build({"name": "symmetrized", "of": {"name": "affine", **SMALL, "prior": prior}}, ACTION.lattice, 1)
    assert one.fingerprint() == both.fingerprint()
    first, second = (lf.sample(flow, ACTION, 1000, path=tmp_path / "c.h5", progress=False).phi[:] for flow in (both, one))
    assert np.any(first != second)


def test_unknown_weights_are_named():
    with pytest.raises(ConfigError, match=r"no run folder or weights file 'E9', .* 'affine/E9': did you mean 'affine/E\d'\?"):
        lf.load("E9")
    for source in ("runs/nope", "nope.npz", Path("nope")):
        with pytest.raises(ConfigError, match=rf"there is no run folder or weights file {source}$"):
            lf.load(source)


@pytest.mark.parametrize("call", [lf.train, lf.sample])
def test_flow_and_action_need_the_same_lattice(call):
    other = lf.ScalarPhi4(lf.Lattice((6, 6)), m2=-4.0, lam=8.0)
    with pytest.raises(ConfigError, match=r"the flow is on the lattice \(4, 4\), the action on \(6, 6\)"):
        call(small_flow(), other)


def test_weights_that_do_not_say_whose_they_are(tmp_path):
    save_weights(tmp_path / "weights.npz", small_flow())
    with pytest.raises(ConfigError, match="does not say which flow its weights belong to: build the flow yourself"):
        lf.load(tmp_path / "weights.npz")


@pytest.mark.parametrize(
    ("call", "settings", "message"),
    [
        (lf.train, {"learning_rat": 0.1}, r"train: unknown key 'learning_rat': did you mean 'learning_rate'"),
        (lf.train, {"steps": -3}, r"train: key 'steps' has the value -3: input should be greater than 0"),
        (lf.train, {"resume": True}, r"train: resume=True is for a run folder: give out, too"),
        (
            lf.train,
            {"optimizer": {"name": "natural_gradient", "warm_up": 40}, "steps": 40},
            r"warm_up 40 leaves none of the 40 steps",
        ),
        (lf.sample, {"sampler": "hmc"}, r"the sampler 'hmc' needs no flow"),
        (lf.train, {"optimizer": "adm"}, r"unknown optimizer 'adm': did you mean 'adam'\?"),
        (lf.sample, {"length": 10}, r"sample: key 'length' has the value 10: input should be greater than or equal"),
        (lf.sample, {"batch": 10}, r"sampler 'independence': unknown key 'batch': did you mean 'batch_size'"),
    ],
)
def test_settings_that_cannot_be_used(call, settings, message):
    with pytest.raises(ConfigError, match=message):
        call(small_flow(), ACTION, **settings)


def test_a_flow_is_trained_where_it_was_built():
    with pytest.raises(DeviceError, match=r"built on .*CPU:0, not on 'cpu:1'. Build it there"):
        lf.train(small_flow(), ACTION, device="cpu:1")


@pytest.mark.slow
def test_a_flow_is_trained_on_another_device():
    with choose_strategy("cpu:1").scope():
        flow = small_flow()
    assert lf.train(flow, ACTION, steps=1, evaluate_every=1, device="cpu:1", **QUICK).steps == 1


def test_a_flow_of_ones_own_has_no_run_folder(tmp_path):
    flow = small_flow()
    own = lf.Flow(flow.lattice, flow.prior, flow.bijector)
    with pytest.raises(RunError, match=r"train it without `out`, and save it by lattice_flows\.flows\.save_weights"):
        lf.train(own, ACTION, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_progress_may_be_shown_elsewhere(trained):
    progress = Progress(quiet=True)
    progress.info = (lines := []).append
    lf.train(small_flow(), ACTION, steps=30, evaluate_every=10, out=trained[1], resume=True, **{**QUICK, "progress": progress})
    assert lines and "resuming at step 30" in lines[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: lf.train(small_flow(), ACTION, seed=-1),
            r"train: seed has the value -1: input should be greater",
        ),
        (lambda: lf.train(small_flow(), ACTION, seed=2**63), r"train: seed has the value 9223372036854775808: .* less than"),
        (lambda: lf.train(small_flow(), ACTION, learning_rate=float("nan")), r"train: key 'learning_rate' has the value nan"),
        (lambda: lf.train("E1", ACTION), r"the flow is 'E1': build one on a lattice"),
        (lambda: lf.sample(small_flow(), None), r"the action is None: build one on a lattice"),
        (lambda: lf.sample(small_flow(), ACTION, 1e6), r"sample: key 'length' has the value 1000000.0: .* integer"),
        (lambda: lf.sample(small_flow(), ACTION, seed="1"), r"sample: seed has the value '1': .* integer"),
        (lambda: lf.measure(3), r"measure: 3 is not a path: give a file or a run folder"),
        (
            lambda: lf.measure(np.zeros((5, 2, 4, 4)), ACTION),
            r"array of the shape \(5, 2, 4, 4\) does not say .*: use .*Measurements.of",
        ),
        (lambda: lf.measure("nowhere"), r"there is no ensemble at nowhere"),
        (lambda: lf.load(None), r"load: None is not a path"),
        (lambda: lf.load("x" * 5000), r"File name too long"),
    ],
)
def test_what_cannot_be_used_is_an_error_of_the_user(call, message):
    with pytest.raises(UserError, match=message):
        call()
