"""What flags change in a configuration, and which values and pairs of them are refused."""

import types

import pytest

from lattice_flows import command_line, production
from lattice_flows.command_line import Flag, UsageError, shared
from lattice_flows.config import CONFIGS, ConfigError, Registry
from lattice_flows.scripts import benchmark, reproduce, sweep, train

NUMBERS = (
    "lattice_size",
    "seed",
    "steps",
    "evaluate_every",
    "target_acceptance",
    "max_minutes",
    "chain_length",
    "chains",
    "updates",
    "thinning",
)
SAMPLER = Flag("sampler", "what to run", "how to sample", default="hmc")


def changes(*arguments):
    flags = (SAMPLER, *shared("flow", "init_from", *NUMBERS, "trajectories", "configurations"))
    return command_line.overrides(command_line.parse("p", "", flags, arguments))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf", "1e300", "9" * 30])
def test_numbers_that_cannot_be_are_refused_by_flag_and_value(name, value):
    if (name, value) == ("seed", "0") or (name == "max_minutes" and value in ("1e300", "9" * 30)):
        assert changes(f"--{name}={value}")
        return
    with pytest.raises(UsageError) as error:
        changes(f"--{name}={value}")
    message = str(error.value)
    assert message.startswith(f"flag --{name}") and "\n" not in message and len(message) < 200
    assert any(reason in message for reason in ("input should be ", "is not an integer", "is not a finite number"))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--target_acceptance=1.5", "flag --target_acceptance has the value 1.5: input should be less than 1"),
        ("--chain_length=999", "flag --chain_length has the value 999: input should be greater than or equal to 1000"),
        ("--lattice_size=1", "flag --lattice_size has the value .1.: input should be greater than or equal to 2"),
        ("--trajectories=9", "flag --trajectories has the value 9: input should be greater than or equal to 10"),
    ],
)
def test_the_limits_are_those_of_the_schema(argument, message):
    with pytest.raises(UsageError, match=message):
        changes(argument)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--updates=20", "--trajectories=30"),
        ("--sampler=metropolis", "--updates=20", "--configurations=30"),
        ("--trajectories=20", "--configurations=30"),
    ],
)
def test_two_names_of_one_length_contradict_each_other(arguments):
    with pytest.raises(UsageError, match="contradict each other, they set the same key"):
        changes(*arguments)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        *(("--pretrained", flag) for flag in ("--steps=7", "--evaluate_every=5", "--target_acceptance=.5", "--max_minutes=1")),
        ("--pretrained", "--init_from=runs/E1"),
        ("--pretrained", "--forward_samples=runs/hmc/E1"),
        ("--pretrained", "--tensorboard"),
        ("--figure=5", "--lattice_size=8"),
        ("--figure=5", "--shape=8,8"),
        ("--figure=5", "--lam=8"),
        ("--stored", "--quick"),
        ("--stored", "--chain_length=2000"),
        ("--stored", "--tensorboard"),
        ("--figure=all", "--target_acceptance=.6"),
    ],
)
def test_what_reproduce_would_record_but_not_do_is_refused(first, second, tmp_path, capsys):
    name = second.split("=")[0]
    arguments = ["reproduce", "--table=E1", first, second, f"--out={tmp_path / 'out'}"]
    for given in (arguments, [*arguments[:2], second, first, arguments[-1]]):
        assert command_line.main(given) == command_line.UNUSABLE
        said = capsys.readouterr().err
        assert f"{first.split('=')[0]} and {name} contradict each other" in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_board_is_there_where_the_flag_is():
    from lattice_flows.tensorboard import TensorBoard

    for script in (reproduce, sweep, train):
        assert "tensorboard" in {flag.name for flag in script.FLAGS}
    given = [command_line.parse("p", "", shared("tensorboard"), arguments) for arguments in ([], ["--tensorboard"])]
    assert [command_line.board(flags) for flags in given] == [None, TensorBoard]


def test_every_excluded_flag_is_one_of_the_command():
    for script in (reproduce, benchmark):
        names = {flag.name for flag in script.FLAGS}
        assert all(set(flag.excludes) <= names and bool(flag.excludes) == bool(flag.because) for flag in script.FLAGS)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--memory=1e5,abc", "flag --memory: '1e5,abc' is not a list of integers"),
        ("--memory=1e5,10", "flag --memory has the value 10: input should be greater than or equal to 1000"),
        ("--record_to=costs.yaml", "--record_to is for --cost and --record: nothing else is recorded"),
    ],
)
def test_what_benchmark_cannot_do_is_refused_before_it_measures_anything(flag, message, capsys):
    """The configuration of the measurement before it is missing, which is found later."""
    assert command_line.main(["benchmark", "--step_time=nowhere", flag]) == command_line.UNUSABLE
    assert message in capsys.readouterr().err


def test_steps_of_trainings_stand_among_the_flags_of_trainings():
    for script in (benchmark, reproduce, sweep, train):
        assert {flag.group for flag in script.FLAGS if "training steps" in flag.help} == {"training"}


@pytest.mark.parametrize("place", ["", "file/below.json"], ids=["folder", "below_a_file"])
def test_a_result_that_cannot_be_written_is_refused_before_it_is_measured(place, tmp_path, capsys):
    """The ensemble is missing, which is found later."""
    (tmp_path / "file").touch()
    out = tmp_path / place
    assert command_line.main(["measure", str(tmp_path / "nowhere.h5"), f"--out={out}"]) == command_line.UNUSABLE
    assert capsys.readouterr().err.startswith(f"error: cannot write {out}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_result_is_shown_before_it_is_written(tmp_path, capsys, monkeypatch):
    def measured(ensemble, progress):
        (tmp_path / "out").write_text("in the way")
        return types.SimpleNamespace(to_json=dict, passed=True)

    monkeypatch.setattr(production, "measure_run", measured)
    assert command_line.main(["measure", "e.h5", f"--out={tmp_path / 'out' / 'result.json'}"]) == command_line.UNUSABLE
    out, said = capsys.readouterr()
    assert "passed=True" in out and "cannot write" in said


def test_flags_become_overrides_of_a_configuration():
    assert changes("--seed=3") == ({"seed": 3},)
    flags = command_line.parse("p", "", shared("flow", "seed", "chain_length", "lattice_size", "max_minutes"), [])
    assert command_line.overrides(flags) == ()
    given = ["--flow=continuous", "--chain_length=1e5", "--lattice_size=8", "--max_minutes=2"]
    flags = command_line.parse("p", "", shared("flow", "seed", "chain_length", "lattice_size", "max_minutes"), given)
    config = command_line.configuration("E1", flags)
    assert (config.flow.name, config.chain.length, config.lattice.shape, config.seed) == ("continuous", 100_000, (8, 8), 1)
    assert command_line.overrides(flags)[0] == CONFIGS / "flows" / "continuous.yaml"
    assert config.training.max_minutes == 2.0
    flags.flow = "afine"
    with pytest.raises(ConfigError, match=r"unknown flow 'afine': did you mean 'affine'\?"):
        command_line.overrides(flags)


def test_lattice_and_action():
    own = shared("lattice_size", "shape", "m2", "lam")
    config = command_line.configuration("E1", command_line.parse("p", "", own, ["--shape=4,4,8", "--m2=1", "--lam=0.5"]))
    assert config.lattice.shape == (4, 4, 8) and config.action.parameters == {"m2": 1.0, "lam": 0.5}
    config = command_line.configuration("3d_L8", command_line.parse("p", "", own, ["--lattice_size=4"]))
    assert config.lattice.shape == (4, 4, 4) and config.action.parameters["m2"] == -4.0
    with pytest.raises(UsageError, match="--shape and --lattice_size contradict each other, they set the same key"):
        command_line.parse("p", "", own, ["--shape=4,4", "--lattice_size=4"])
    with pytest.raises(UsageError, match=r"flag --shape has the value \[4, 1\]: input should be greater than or equal to 2"):
        command_line.overrides(command_line.parse("p", "", own, ["--shape=4,1"]))
    with pytest.raises(UsageError, match=r"flag --shape has the value \[2, 2, 2, 2, 2\]: it should have 4 entries or fewer"):
        command_line.overrides(command_line.parse("p", "", own, ["--shape=2,2,2,2,2"]))


def test_an_action_without_that_parameter_says_so(tmp_path):
    def sextic(lattice, *, a: float = 2.5):
        return a

    actions = Registry("action", {"sextic": sextic})
    path = tmp_path / "mine.yaml"
    path.write_text("include: E1.yaml\naction: {name: sextic}\n")
    own = shared("lattice_size", "m2", "lam")
    assert actions.complete(command_line.configuration(path, command_line.parse("p", "", own, [])).action) == {"a": 2.5}
    for flag in ("m2", "lam"):  # which a configuration would leave out, coming from another action
        config = command_line.configuration(path, command_line.parse("p", "", own, [f"--{flag}=1"]))
        with pytest.raises(ConfigError, match=f"action 'sextic': unknown key '{flag}': known: a"):
            actions.complete(config.action)


def test_settings_of_the_chosen_sampler():
    own = (
        Flag("sampler", "what to run", "how to sample"),
        *shared("chains", "updates", "thinning", "trajectories", "configurations"),
    )
    flags = command_line.parse("p", "", own, ["--sampler=metropolis", "--chains=8", "--updates=400", "--thinning=2"])
    config = command_line.configuration("E1", flags)
    assert (config.sampler("metropolis").chains, config.sampler("metropolis").updates, config.sampler("hmc").chains) == (
        8,
        400,
        256,
    )
    flags = command_line.parse("p", "", own, ["--sampler=hmc", "--trajectories=50", "--thinning=5"])
    assert command_line.configuration("E1", flags).sampler("hmc").updates == 50
    flags = command_line.parse("p", "", own, ["--sampler=metropolis", "--configurations=30", "--thinning=5"])
    assert command_line.configuration("E1", flags).sampler("metropolis").updates == 150
    for sampler, other in (("metropolis", "trajectories"), ("hmc", "configurations")):
        flags = command_line.parse("p", "", own, [f"--sampler={sampler}", f"--{other}=30"])
        with pytest.raises(command_line.UsageError, match=f"--{other} is for --sampler .*, not for {sampler}: use --updates"):
            command_line.configuration("E1", flags)
