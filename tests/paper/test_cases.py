"""Which runs there are, and what they are run with."""

import pytest

from lattice_flows.config import CONFIGS, ConfigError, load
from lattice_flows.paper.cases import DIMENSIONS, LARGER, STOPS, TABLES, TRAINED, Case, common_dimension, expanded
from lattice_flows.paper.ingredients import stored, stored_flows


@pytest.mark.parametrize("table", [*TABLES, *LARGER])
def test_every_ensemble_has_a_configuration(table):
    config = Case(table).configuration()
    assert config == load(CONFIGS / f"{table}.yaml")
    assert config.flow.name == ("affine" if table in TABLES else "continuous")


def test_names_of_groups_stand_for_ensembles():
    assert expanded(["3d_L8", "all", "E2"]) == ["3d_L8", *TABLES] and expanded([]) == []
    assert (
        set(DIMENSIONS) == {file.stem for d in (2, 3, 4) for file in CONFIGS.glob(f"{d}d_*.yaml")} == set(expanded(["dimensions"]))
    )
    assert [common_dimension([table]) for table in ("E1", "3d_L8", "4d_L4_broken")] == [2, 3, 4]
    with pytest.raises(ConfigError, match=r"E1 has 2 dimensions, 3d_L8 has 3 dimensions: use --shape"):
        common_dimension(["E1", "3d_L8"])


def test_what_stands_on_top_of_what():
    """File, preset, quick run, early stop, flags: the later win, in whatever order presets and flags are given."""
    flags = {"training": {"batch_size": 32}, "seed": 5}
    preset = CONFIGS / "flows" / "continuous.yaml"
    for overrides in ([preset, flags], [flags, preset]):
        config = Case("E1", 0.5).configuration(overrides, quick=True)
        assert config.flow.name == "continuous" and config.seed == 5
        assert config.chain.length == 20000
        assert config.training.batch_size == 32 and config.training.optimizer.name == "adam"
        assert config.training.steps == 5000 and config.training.target_acceptance == 0.5


@pytest.mark.parametrize("table", [*TABLES, *LARGER, *DIMENSIONS])
def test_a_quick_run_is_no_longer_than_the_usual_one(table):
    usual, quick = (Case(table).configuration(quick=quick) for quick in (False, True))
    assert quick.chain.length <= min(usual.chain.length, 20000) and quick.lattice == usual.lattice
    for before, after in zip([*usual.stage_configs(), usual], [*quick.stage_configs(), quick], strict=True):
        training = after.training
        assert training.optimizer.parameters.get("warm_up", 0) < training.steps <= min(before.training.steps, 100)
        assert training.evaluate_every <= training.steps and training.target_acceptance is None


def test_flags_go_before_the_settings_of_a_case():
    assert Case("E1", 0.5).configuration([{"training": {"target_acceptance": 0.6}}]).training.target_acceptance == 0.6
    assert Case("E1").configuration([{"chain": {"length": 3000}}], quick=True).chain.length == 3000


def test_where_a_run_is(tmp_path):
    assert Case("E1").folder(tmp_path) == tmp_path / "E1"
    assert Case("E1", 0.7).folder(tmp_path) == tmp_path / "at_70" / "E1"


@pytest.mark.parametrize("case", [Case(table, stop) for table in TABLES for stop in (None, *STOPS)])
def test_weights_and_results_are_stored(case):
    assert case.weights("affine").parent.parent == TRAINED and case.weights("affine").exists()
    result = stored("affine", case)
    assert (result.table, result.flow) == (case.table, "affine")
    assert result.lattice_shape == case.configuration().lattice.shape


def test_weights_that_are_not_stored_are_named():
    with pytest.raises(ConfigError, match=r"no pretrained weights continuous/L20 available: .*continuous/E5"):
        Case("L20").weights("continuous")


def test_trained_weights_are_small():
    assert sum(path.stat().st_size for path in TRAINED.rglob("*.npz")) < 2.5 * 2**20


@pytest.mark.parametrize("table", DIMENSIONS)
def test_stored_results_are_those_of_the_configuration(table):
    config = Case(table).configuration()
    for result in stored_flows(table):
        assert result.lattice_shape == config.lattice.shape and result.action == config.action.model_dump()
        assert Case(table).weights(result.flow).exists()
