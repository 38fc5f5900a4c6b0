"""Configurations of GomalizingFlow.jl in ours. The values are facts of the files in its folder cfgs/, in words of our own."""

import pytest

from lattice_flows import command_line
from lattice_flows.config import CONFIGS, ConfigError, RunConfig, load
from lattice_flows.convert import convert

NORMAL = "Normal{Float32}(0.f0, 1.f0)"
FALLS = "Step(0.001f0, 0.1f0, [200])"


def toml(L=6, Nd=2, M2=-4.0, lam=6.975, epochs=500, rate=0.001, prior=NORMAL, lr_scheduler="", layers=16, opt="Adam", **others):
    """The text of a file; further arguments replace what stands in it, such as `use_bn="true"`."""
    text = f"""
        [config]
        version = "0.1.0"
        [device]
        device_id = 0
        [training]
        seed = 12345
        batchsize = 64
        epochs = {epochs}
        iterations = 100
        base_lr = {rate}
        opt = "{opt}"
        prior = "{prior}"
        lr_scheduler = "{lr_scheduler}"
        pretrained = ""
        [physical]
        L = {L}
        Nd = {Nd}
        M2 = {M2}   # m²
        lam = {lam} # λ
        [model]
        seed = 2021
        n_layers = {layers}
        hidden_sizes = [8, 8]
        kernel_size = 3
        inC = 1
        outC = 2
        use_final_tanh = true
        use_bn = false
    """
    lines = [line.strip() for line in text.splitlines()]
    return "\n".join(f"{key} = {others[key]}" if (key := line.split(" = ")[0]) in others else line for line in lines)


@pytest.fixture
def converted(tmp_path):
    """Converts the text of a file, and loads the result."""

    def call(text):
        (tmp_path / "theirs.toml").write_text(text, encoding="utf-8")
        conversion = convert(tmp_path / "theirs.toml")
        (tmp_path / "ours.yaml").write_text(conversion.text, encoding="utf-8")
        return load(tmp_path / "ours.yaml"), conversion

    return call


# The case of ours -> what the file of GomalizingFlow.jl says.
SHIPPED = {
    "2d_L8_lam8": toml(L=8, lam=8.0, epochs=200, opt="ADAM"),
    "2d_L8_lam8_quartic": toml(L=8, lam=8.0, epochs=200, prior="Potential{Float32}(; m²=-4f0, λ=8f0)", opt="ADAM"),
    "2d_L4_lam5": toml(L=4, lam=5.113),
    "2d_L8_lam5": toml(L=8, lam=5.113),
    "3d_L4_broken": toml(L=4, Nd=3, lam=5.113),
    "3d_L8_broken": toml(L=8, Nd=3, lam=5.113),
    "3d_L8_symmetric": toml(L=8, Nd=3, M2=1.0, lam=8.0),
    "3d_L8_symmetric_quartic": toml(L=8, Nd=3, M2=1.0, lam=8.0, prior="Potential{Float32}(; m²=1.0, λ=8.0)"),
    "3d_L8_transition": toml(L=8, Nd=3, lam=8.0, epochs=1000, rate=0.0015),
    "3d_L8_transition_quartic": toml(L=8, Nd=3, lam=8.0, epochs=1000, rate=0.0015, prior="Potential{Float32}(; m²=-4f0, λ=8f0)"),
    "4d_L4_broken": toml(L=4, Nd=4, lam=5.113),
    "4d_L8_broken": toml(L=8, Nd=4, lam=5.113, layers=4),
}


@pytest.mark.parametrize("case", SHIPPED)
def test_what_comes_with_the_package_is_what_their_files_say(case, converted):
    ours = load(f"gomalizing_flow/{case}")
    left = converted(SHIPPED[case])[0].differences(ours)
    # These three are theirs in the one and this package's in the other.
    assert left == {
        "seed": (12345, 1),
        "training.evaluate_every": (100, 500),
        "chain.length": (8196, ours.chain.length),
    }


def test_the_table_of_shipped_cases_is_complete():
    """Their combinational convolutions stand in notebooks, which replace the network of the same files."""
    cases = {file.stem for file in (CONFIGS / "gomalizing_flow").glob("*.yaml")}
    assert cases - set(SHIPPED) == {"2C1", "3C1", "3C2", "4C1", "4C2", "4C3"}


@pytest.mark.parametrize(
    ("ensemble", "L", "lam"), [("E1", 6, 6.975), ("E2", 8, 6.008), ("E3", 10, 5.55), ("E4", 12, 5.276), ("E5", 14, 5.113)]
)
def test_the_ensembles_of_the_paper(ensemble, L, lam, converted):
    ours = load(ensemble, CONFIGS / "flows" / "affine_conv.yaml")
    left = converted(toml(L=L, lam=lam, lr_scheduler=FALLS))[0].differences(ours)
    assert {key: theirs for key, (theirs, _) in left.items() if not key.startswith("samplers.")} == {
        "seed": 12345,
        "training.steps": 50_000,
        "training.schedule.name": "steps",
        "training.schedule.boundaries": [20_000],
        "training.evaluate_every": 100,
        "chain.length": 8196,
    }


def test_every_key_has_a_note(converted):
    _, conversion = converted(toml())
    keys = [line.split(" = ")[0] for line in toml().splitlines() if " = " in line]
    assert all(any(f".{key} = " in note for note in conversion.notes) for key in keys)
    assert conversion.text.startswith("# theirs.toml, a configuration of GomalizingFlow.jl")
    comments = "".join(line.lstrip("#") for line in conversion.text.splitlines() if line.startswith("#"))
    assert all("".join(note.split()) in "".join(comments.split()) for note in conversion.notes)


def test_the_first_versions_of_the_format(converted):
    """The device at the top, no version, no schedule, a folder for results."""
    text = toml(opt="ADAM").split("[training]")[1].replace('lr_scheduler = ""', 'result = "result"').replace("use_bn = false", "")
    config, conversion = converted(f"device_id = -1\n[training]{text}")
    assert config.training.schedule.name == "constant"
    assert "device_id = -1 -> no counterpart: the flag --device cpu" in conversion.notes
    assert any(note.startswith('training.result = "result"') for note in conversion.notes)


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ("", ("constant", 0.001, ())),
        ("Step(0.01f0, 0.5f0, [10, 10, 20])", ("steps", 0.01, (1000, 2000, 4000))),
        ("Step(λ=1f-2, γ=0.5, step_sizes=[10, 490])", ("steps", 0.01, (1000,))),
        ("Step(0.002, 1.0, [500])", ("constant", 0.002, ())),
        ("Step(0.002, 0.1, 200)", ("steps", 0.002, (20_000, 40_000))),
    ],
)
def test_learning_rates(scheduler, expected, converted):
    training = converted(toml(lr_scheduler=scheduler))[0].training
    assert (training.schedule.name, training.learning_rate, training.schedule.boundaries) == expected


def test_the_falling_rate_of_the_first_versions_is_noted(converted):
    """Their code multiplied it by 0.1 at every epoch from 200 on; later versions do what the key says."""
    without = toml(epochs=200).replace('lr_scheduler = ""', "")
    cases = {without: True, without.replace("epochs = 200", "epochs = 199"): False, toml(epochs=200): False}
    for text, falls in cases.items():
        notes = converted(text)[1].notes
        assert any("multiplied the rate by 0.1 at every epoch from 200 on" in note for note in notes) == falls


def test_the_scheduler_wins_over_base_lr_and_the_note_says_so(converted):
    assert any("base_lr has no effect" in note for note in converted(toml(rate=0.5, lr_scheduler=FALLS))[1].notes)
    assert not any("base_lr has no effect" in note for note in converted(toml(lr_scheduler=FALLS))[1].notes)


def test_networks_and_priors(converted):
    config, _ = converted(toml(prior="Normal(0, 0.5)", hidden_sizes="[4, 6, 8]", kernel_size=5, use_final_tanh="false"))
    assert config.flow.parameters["network"] == {
        "name": "convolutional",
        "channels": [4, 6, 8],
        "kernel_size": 5,
        "activation": "leaky_relu",
        "final_activation": "leaky_relu",
    }
    assert config.flow.parameters["prior"] == {"name": "normal", "width": 0.5, "learn_width": False}


def test_the_largest_kernel_and_the_free_field(converted):
    config, _ = converted(toml(kernel_size=13, lam=0, M2=0.5))
    assert config.flow.parameters["network"]["kernel_size"] == 13 and config.action.parameters == {"m2": 0.5, "lam": 0.0}


def test_weights_of_flux_are_not_loaded_and_the_note_says_so(converted):
    config, conversion = converted(toml(pretrained='"result/trained_model.bson"'))
    assert config.training.init_from is None
    assert any("bson" in note and "weights of Flux cannot be read" in note for note in conversion.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (toml().replace("batchsize", "batchsise"), "unknown key 'training.batchsise': did you mean 'batchsize'"),
        (toml() + "\n[extra]\na = 1", "unknown key 'extra'"),
        (toml().replace("lam = 6.975", ""), "missing key 'physical.lam'"),
        (toml(L=7), "key 'physical.L' has the value 7"),
        (toml(Nd=5), "key 'physical.Nd' has the value 5"),
        (toml(use_bn="true"), "batch normalisation"),
        (toml(outC=3), "key 'model.outC' has the value 3"),
        (toml(opt="Descent"), "only Adam has a counterpart here"),
        (toml(prior="Uniform(-1, 1)"), "key 'training.prior' has the value 'Uniform"),
        (toml(prior="Normal(1, 1)"), "a normal prior has the mean 0 here"),
        (toml(prior="Potential{Float32}(; m²=1.0)"), "only Potential(m², λ, xmin, xmax)"),
        (toml(prior="Potential{Float32}(; m²=1.0, λ=-8.0)"), "positive λ"),
        (toml(prior="Normal(0, exp(1))"), "only Normal(μ, σ) with numbers"),
        (toml(prior="Normal(0, 1, 2)"), "only Normal(μ, σ) with numbers"),
        (toml(prior="Normal(0, [1])"), "only Normal(μ, σ) with numbers"),
        (toml(lr_scheduler="Exp(0.1, 0.9)"), "only Step(λ, γ, step_sizes)"),
        (toml(lr_scheduler="Step(0.1, 0.9, [0.5])"), "it must list whole epochs"),
        (toml(lr_scheduler="Step(0.001, λ=0.1, λ=0.2, γ=0.1, step_sizes=[200])"), "it gives λ more than once"),
        (toml(lr_scheduler="Step(λ=0.1, 0.2, [200])"), "it gives λ more than once"),
        (toml(prior="Normal(0, 1; σ=2)"), "it gives σ more than once"),
        (toml(lr_scheduler="Step(0.001, 0.1, [1e400])"), "its numbers must be finite"),
        (toml(lr_scheduler="Step(0.001, 0.1, 1e400)"), "its numbers must be finite"),
        (toml(prior="Normal(0, 1e400)"), "key 'training.prior' has the value 'Normal(0, 1e400)': its numbers must be finite"),
        (toml(kernel_size=4), "key 'model.kernel_size' has the value 4: it must be odd, and at most 2 L + 1 = 13"),
        (toml(kernel_size=15), "key 'model.kernel_size' has the value 15: it must be odd, and at most 2 L + 1 = 13"),
        (toml(lam=0), "key 'physical.lam' has the value 0: it must be positive where M2 is not, and that is -4.0"),
        (toml(lr_scheduler="Step(0.1, 1.5, [10])"), "key 'training.schedule.factor' has the value 1.5"),
        (toml(M2="nan"), "key 'physical.M2' has the value nan: it must be a finite number"),
        ("a: 1", "it is not valid TOML"),
        (toml().replace("device_id", "device"), "theirs.toml: unknown key 'device.device': did you mean 'device_id'?"),
        (toml().replace("version", "versoin"), "unknown key 'config.versoin': did you mean 'version'?"),
    ],
)
def test_what_has_no_counterpart_is_refused_in_one_line(text, message, converted):
    with pytest.raises(ConfigError) as error:
        converted(text)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_the_command_prints_or_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toml").write_text(toml(), encoding="utf-8")
    assert command_line.main(["convert", "a.toml"]) == 0
    printed = capsys.readouterr().out
    assert command_line.main(["convert", "a.toml", "--out=a.yaml"]) == 0
    assert (tmp_path / "a.yaml").read_text(encoding="utf-8") == printed
    assert "training.batchsize = 64 -> training.batch_size" in capsys.readouterr().out
    assert isinstance(load("a.yaml"), RunConfig)
    assert command_line.main(["convert", "a.toml", "--out=a.yaml"]) == 2
    assert "a.yaml exists already: choose another name" in capsys.readouterr().err
