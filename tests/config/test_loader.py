"""Configuration files: how they are found and put together, and what is refused in one line."""

import time

import pytest

from lattice_flows.config import CONFIGS, ConfigError, load
from lattice_flows.config.loader import find

WHOLE = "lattice: {shape: [4, 4]}\naction: {name: scalar_phi4, m2: 1.0, lam: 0.5}\nflow: affine\n"


def refused(path):
    with pytest.raises(ConfigError) as error:
        load(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 1000
    return str(error.value)


@pytest.fixture
def file(tmp_path):
    def write(text, name="mine.yaml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 2\nseed: 3", "mine.yaml: the key 'seed' stands twice, in lines 4 and 5: keep one of them"),
        ("training: {learning_rate: .nan}", "key 'training.learning_rate' has the value nan: it must be a finite number"),
        ("chain: {length: .inf}", "key 'chain.length' has the value inf"),
        ("training: {max_minutes: 1e999}", "key 'training.max_minutes' has the value inf"),
        ("seed: 1" + "0" * 4000, "an integer of 4001 digits"),
        ("seed: 9223372036854775808", "key 'seed' has a value of 19 digits: it must be below 2^63"),
        ("training: {steps: 2147483648}", "key 'training.steps' has the value 2147483648: input should be less than 2147483648"),
        ("training: {8: 1}", "key 'training.8' has the value 8: keys should be strings"),
        ("training: {optimizer: {8: 1}}", "'training.optimizer.8' has the value 8: keys should be strings"),
        ("chain: [1]", "key 'chain' has the value [1]: input should be a mapping of keys to values"),
        ("include: 3", "key 'include' must be the name of a file, or a list of 100 names at most"),
        ("include: [[E1]]", "key 'include' must be the name of a file"),
        ("include: {a: b}", "key 'include' must be the name of a file"),
        (f"include: [{'E1, ' * 101}]", "key 'include' must be the name of a file, or a list of 100 names at most"),
        ("include: nowhere.yaml", "nowhere.yaml: No such file or directory; mine.yaml includes it"),
        ("include: /nowhere/at/all.yaml", "cannot read /nowhere/at/all.yaml: No such file or directory; mine.yaml includes it"),
        ("include: .", "Is a directory; mine.yaml includes it"),
        ("include: ''", "Is a directory; mine.yaml includes it"),
        (f"include: {'x' * 5000}", "File name too long"),
        ("include: mine.yaml", "a loop of includes: "),
    ],
)
def test_what_nobody_means_is_refused(file, text, message):
    assert message in refused(file(WHOLE + text + "\n"))


def test_whole_files_that_are_no_configurations(file, tmp_path):
    assert "nowhere.yaml: No such file or directory; known: " in refused(tmp_path / "nowhere.yaml")
    assert "cannot read E11: No such file or directory; did you mean 'E1'?" in refused("E11")
    assert "did you mean 'gomalizing_flow/3C2'?" in refused("gomalizing_flow/3C22")
    assert "Is a directory" in refused(tmp_path)
    assert "broken.yaml: it is not valid YAML: line 1, column 9" in refused(file("a: [1, 2", "broken.yaml"))
    assert "list.yaml: it must hold a mapping of keys to values, not a list" in refused(file("- 1", "list.yaml"))
    assert "empty.yaml: missing key 'lattice'; missing key 'action'" in refused(file("", "empty.yaml"))
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)))
    assert "it holds NUL bytes" in refused(tmp_path / "binary.yaml")


def test_loops_of_includes_are_named(file, tmp_path):
    file("include: b.yaml", "a.yaml")
    file("include: [E1.yaml, c.yaml]", "b.yaml")
    file("include: b.yaml", "c.yaml")
    assert refused(tmp_path / "a.yaml") == "a loop of includes: " + " includes ".join(
        str(tmp_path / f"{name}.yaml") for name in ("b", "c", "b")
    )


def test_a_file_is_read_once_however_often_it_is_included(file):
    file(WHOLE, "0.yaml")
    for number in range(1, 25):
        path = file(f"include: [{number - 1}.yaml, {number - 1}.yaml]\nseed: {number}", f"{number}.yaml")
    start = time.process_time()
    assert load(path).seed == 24 and time.process_time() - start < 1


def test_names_and_paths(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "E1").mkdir()  # such as a run folder
    assert find("E1") == find("E1.yaml") == CONFIGS / "E1.yaml"
    assert find("gomalizing_flow/3C2") == CONFIGS / "gomalizing_flow" / "3C2.yaml"
    assert find("flows/continuous.yaml") == CONFIGS / "flows" / "continuous.yaml"
    assert find("mine.yaml", tmp_path) == tmp_path / "mine.yaml"
    path = file(WHOLE.replace("1.0", "2.0"), "E2.yaml")
    assert find("E2.yaml").resolve() == path and load("E2.yaml").action.parameters["m2"] == 2.0
    file("include: E1.yaml\nseed: 5", "mine.yaml")
    file(WHOLE, "E1.yaml")  # beside it: stronger than the one of the package
    assert load("mine.yaml").lattice.shape == (4, 4) and load("mine.yaml").seed == 5


def test_a_byte_order_mark_does_not_matter(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"\xef\xbb\xbf" + WHOLE.encode())
    assert load(tmp_path / "mine.yaml").flow.name == "affine"
