"""What does not fit is refused before it begins, with an estimate; what has been run before is not."""

import pytest

from lattice_flows import resources
from lattice_flows.actions import ScalarPhi4
from lattice_flows.lattice import Lattice
from lattice_flows.measurement.series import measured
from lattice_flows.resources import NotEnough, check_disk, check_memory, ensemble_bytes, formatted, training_bytes


@pytest.fixture
def machine(monkeypatch):
    """One of 16 GB and 100 GB of free disk."""
    monkeypatch.setattr(resources.psutil, "virtual_memory", lambda: type("Memory", (), {"total": 16e9}))
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda place: type("Disk", (), {"free": 100e9}))


def test_memory_is_refused_with_the_estimate_and_advice(machine):
    check_memory(15e9, "this", "do that")
    message = r"this needs about 17 GB of memory or more, the machine has 16 GB: do that"
    with pytest.raises(NotEnough, match=message):
        check_memory(17e9, "this", "do that")


def test_disk_is_refused_at_the_nearest_folder_that_exists(machine, tmp_path):
    check_disk(99e9, tmp_path / "new" / "run", "this", "do that")
    with pytest.raises(NotEnough, match=rf"this needs about 2 TB of disk, 100 GB are free in {tmp_path}: do that"):
        check_disk(2e12, tmp_path / "new" / "run", "this", "do that")


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (3.24e9, "3.24 GB"), (1e40, "1e+25 PB")])
def test_sizes(size, text):
    assert formatted(size) == text


@pytest.mark.parametrize("shape", [(128, 128), (12, 12, 12, 12), (6, 6)])
def test_lattices_that_train_within_four_gibibytes_are_not_refused(shape):
    assert training_bytes(shape, 64, 8192) < 2**31 and training_bytes(shape, 1024, 8192) < 2**32


@pytest.mark.parametrize("shape", [(10**6, 10**6), (10**9,), (2000,) * 4])
def test_lattices_that_fit_on_no_machine_are_refused(shape, machine):
    with pytest.raises(NotEnough):
        check_memory(training_bytes(shape, 1), "", "")


@pytest.mark.parametrize(
    ("shape", "asked", "drawn"),
    [((14, 14), 65536, 65536), ((32, 32), 8192, 8192), ((64, 64), 8192, 2048), ((64, 64), 16384, 4096), ((12,) * 4, 8192, 512)],
)
def test_evaluations_of_large_lattices_draw_fewer_samples(shape, asked, drawn):
    assert resources.evaluation_samples(asked, shape) == drawn


def test_the_size_of_an_ensemble_is_that_of_its_arrays():
    action = ScalarPhi4(Lattice((4, 4)), m2=1.0, lam=0.5)
    phi = action.lattice.parity()[None].repeat(10, axis=0).astype("float32")
    series = measured(phi, action)
    numbers = sum(values[0].size for values in series.values())
    assert ensemble_bytes(10, (4, 4), numbers) == phi.nbytes + sum(values.nbytes for values in series.values())
