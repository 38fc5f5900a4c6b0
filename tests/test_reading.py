"""The door for files: what passes, and what is refused in one line."""

import math
import time

import h5py
import numpy as np
import pytest
import yaml

from lattice_flows.errors import UserError
from lattice_flows.reading import UnreadableFile, read_csv, read_json, read_text, read_yaml, reading

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

MERGED_BOMB = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 10)}]}}\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: 1\nb:\n  c: 2\n  d: 3\n  c: 4", r"the key 'c' stands twice, in lines 3 and 5: keep one of them"),
        ("a: 1\nb: {1: x,\n  0x1: y}", r"the keys '1' and '0x1' are the same, in lines 2 and 3: keep one of them"),
        ("{1: x, 1.0: y}", r"the keys '1' and '1.0' are the same, in lines 1 and 1"),
        ("{&a x: 1, *a : 2}", r"the key 'x' stands twice, in lines 1 and 1"),
        ("{<<: {a: 1}, <<: {b: 1}}", r"the key '<<' stands twice"),
        ("a: 010", r"line 1, column 4: the number 010 begins with a zero: write it in the usual way, or in quotes if it is text"),
        ("a: [1, -01.5]", r"line 1, column 8: the number -01.5 begins with a zero"),
        ("a: 00", r"the number 00 begins with a zero"),
        ("010: a", r"line 1, column 1: the number 010 begins with a zero"),
        ("a: 1:30", r"the number 1:30 has colons, which makes it one to base 60: write it in the usual way"),
        ("a: -1:30:20.5", r"the number -1:30:20.5 has colons"),
        ("a: {b: .nan}", r"key 'a.b' has the value nan: it must be a finite number"),
        ("a: [1, -.inf]", r"key 'a.1' has the value -inf"),
        ("a: 1e400", r"key 'a' has the value inf"),
        ("a: 1" + "0" * 4000, r"line 1, column 4: an integer of 4001 digits"),
        ("a: 1" + "0" * 20, r"key 'a' has a value of 21 digits: it must be below 2\^63"),
        ("a: " + "[" * 5000, r"nested more than 40 levels deep"),
        ("a: " + "{a: " * 5000, r"nested more than 40 levels deep"),
        (BOMB, r"more than 65536 entries, aliases included"),
        (MERGED_BOMB, r"more than 65536 entries, aliases included"),
        ("a: {<<: [1]}", r"line 1, column 10: '<<' needs mappings"),
        ("a: &a [*a]", r"the alias stands inside what it stands for"),
        ("a: *b", r"undefined alias"),
        ("a: [1, 2", r"it is not valid YAML: line 1, column 9: expected"),
        ("- 1", r"it must hold a mapping of keys to values, not a list"),
        ("just text", r"not text$"),
        ("a: 1\n---\nb: 2", r"found another document"),
        ("yes: 1", r"the key 'True' is a truth value: write it in quotes"),
        ("? [a, b]\n: 1", r"a key that is a list or a mapping"),
        ("a: 2020-01-01", r"key 'a' has a date as its value: write it in quotes"),
        ("a: 2020-13-41", r"month must be in"),
        ("a: !!python/object:os.system {}", r"could not determine a constructor"),
        ("a: !!binary YQ==", r"key 'a' has a bytes as its value"),
        ("a: !!int ''", r"cannot read"),
        (r'a: "\ud800"', r"key 'a' has a value with characters that no text may hold"),
        (r'a: "\0"', r"key 'a' has a value with characters"),
        ("a: \x07", r"special characters are not allowed"),
        ("a: ä".encode("latin-1"), r"it is not text in UTF-8 \(byte 3\)"),
        ("a: 1".encode("utf-16"), r"it is text in UTF-16: save it in UTF-8"),
        (b"a: 1\0", r"it holds NUL bytes"),
        (b"a: 1\n" * 10**5, r"it is larger than 256 KiB"),
    ],
)
def test_yaml_that_nobody_means_is_refused_at_once(file, content, message):
    path, start = file(content), time.process_time()
    with pytest.raises(UnreadableFile, match=message) as error:
        read_yaml(path)
    assert str(error.value).startswith(f"cannot read {path}: ") and "\n" not in str(error.value) and len(str(error.value)) < 500
    assert time.process_time() - start < 5


def test_yaml_that_is_meant(file):
    text = "a: &a {b: 1e-3, c: [1, 2.5, text, true, null]}\nd: *a\n1: 2\n0.5: x"
    below = {"b": 1e-3, "c": [1, 2.5, "text", True, None]}
    assert read_yaml(file(b"\xef\xbb\xbf" + text.encode())) == {"a": below, "d": below, 1: 2, 0.5: "x"}
    assert read_yaml(file("")) == read_yaml(file("# nothing")) == {}
    numbers = read_yaml(
        file("a: [0, -0, 0.5, 0x10, 0b11, 1_000, 0.0, -0.25, 0e1, 1e-03]\nb: ['010', '1:30', a:1, 08x]\n'1': x\n1: y")
    )
    assert numbers["a"] == [0, 0, 0.5, 16, 3, 1000, 0.0, -0.25, 0, 1e-3] and numbers["b"] == ["010", "1:30", "a:1", "08x"]
    assert (numbers["1"], numbers[1]) == ("x", "y")


def test_what_is_merged_stands_below_the_other_keys(file):
    """Also where merges are nested, and read before the mapping that they merge."""
    text = "x: &x {k: 1, l: 1}\ny: {z: &z {k: 2, <<: *x}}\nw: {<<: *z}\nv: {<<: [*x, {k: 3, m: 3}], l: 4}"
    assert read_yaml(file("{<<: {1: x, 2: x}, 0x1: y}")) == {1: "y", 2: "x"}
    content = read_yaml(file(text))
    assert content["y"] == {"z": {"k": 2, "l": 1}} and content["w"] == {"k": 2, "l": 1} and content["v"] == {"k": 1, "l": 4, "m": 3}


def test_the_largest_alias_that_is_followed_is_small(file):
    content = read_yaml(file("a: &a [" + "1, " * 1000 + "1]\nb: [" + "*a, " * 40 + "*a]"))
    assert len(yaml.safe_dump(content)) < 10**6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "Expecting value"),
        ("[1]", r"it must hold an object with keys, not a list"),
        ("null", r"not nothing"),
        ('{"a": NaN}', r"the number NaN, which is not finite"),
        ('{"a": -1e999}', r"the number -1e999, which is not finite"),
        ('{"a": 1' + "0" * 5000 + "}", r"an integer of 5001 digits"),
        ('{"a": ' * 10**5, r"it is nested too deeply"),
        (b'{"a": "\xff"}', r"it is not text in UTF-8"),
    ],
)
def test_json_that_cannot_be_used(file, content, message):
    with pytest.raises(UnreadableFile, match=message) as error:
        read_json(file(content))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"it has no column 'ess'"),
        ("step,loss\n1,2", r"it has no column 'ess'"),
        ("step,ess\n1,2\n3", r"its row 2 has 1 cells, not 2"),
        ("step,ess\n1,2\n3,x", r"column 'ess' has 'x' in row 2, which is not a number"),
        ("ess,ess\n1,2", r"two columns have the same name"),
        ('ess\n"1', r"cannot read"),
    ],
)
def test_tables_that_cannot_be_used(file, content, message):
    with pytest.raises(UnreadableFile, match=message):
        read_csv(file(content), ["ess"])


def test_tables_and_objects_that_can(file):
    table = read_csv(file("step,ess,k_hat\n1,0.5,\n2,nan,0.25\n"), ["ess"])
    assert table["step"] == [1, 2] and table["k_hat"][1] == 0.25 and math.isnan(table["k_hat"][0]) and math.isnan(table["ess"][1])
    assert read_csv(file("ess\n"), ["ess"]) == {"ess": []}
    assert read_json(file('{"a": [1, 2.5, "x", null, true]}')) == {"a": [1, 2.5, "x", None, True]}


def test_what_is_no_file(tmp_path):
    with pytest.raises(UnreadableFile, match=r"cannot read .*nowhere: No such file or directory; look elsewhere$"):
        read_text(tmp_path / "nowhere", "look elsewhere")
    with pytest.raises(UnreadableFile, match=r"Is a directory"):
        read_text(tmp_path)


def test_anything_else_that_goes_wrong_is_an_error_of_that_file(file):
    class Damaged(UserError):
        pass

    path = file(b"PK\x03\x04 something")
    with pytest.raises(Damaged, match=r"; draw it again$"), reading(path, "draw it again", Damaged):
        h5py.File(path, "r")
    with pytest.raises(Damaged), path.open("rb") as opened, reading(path, error=Damaged):
        np.load(opened)
    for error in (KeyError("a"), IndexError(), MemoryError(), RecursionError("x"), ValueError("a\nb"), ZeroDivisionError()):
        with pytest.raises(Damaged, match=r"^cannot read \S+: \S.*\S$"), reading(path, error=Damaged):
            raise error
    with pytest.raises(UserError, match=r"^mine$"), reading(path, error=Damaged):
        raise UserError("mine")
    with pytest.raises(KeyboardInterrupt), reading(path):
        raise KeyboardInterrupt
