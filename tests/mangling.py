"""Files and trees that went wrong: hypothesis strategies for the tests of hostile input."""

import copy
import io
import json
import zipfile

import h5py
import numpy as np
from hypothesis import strategies as st

EXTREME = (0, -1, 1, 2**31, 2**63, -(2**70), 10**400, 0.0, -0.0, 0.5, 1e-320, 1e308, float("nan"), float("inf"), -float("inf"))
SCALARS = st.one_of(st.none(), st.booleans(), st.sampled_from(EXTREME), st.integers(), st.floats(), st.text(max_size=6))
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=6
)
FINITE = TREES.filter(lambda tree: "NaN" not in json.dumps(tree) and "Infinity" not in json.dumps(tree))


def _archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("readme.txt", "hello")
    return buffer.getvalue()


def _saved(save):
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def _hdf5(buffer):
    with h5py.File(buffer, "w") as file:
        file["x"] = np.arange(3)
        file.attrs["layout"] = "2"


FOREIGN = (
    b"",
    b"\0" * 100,
    b"\x89PNG\r\n\x1a\n",
    b"\x1f\x8b\x08\0",
    b"\x80\x04\x95]q\0.",
    b"PK\x03\x04",
    b"\x89HDF\r\n\x1a\n",
    b"{}",
    b"[]",
    b"null",
    b"a: 1\n",
    b"step,loss\n",
    "a: \u00e4".encode("latin-1"),
    "a: 1".encode("utf-16"),
    _archive(),
    _saved(lambda file: np.save(file, np.arange(3))),
    _saved(lambda file: np.savez(file, a=np.arange(3))),
    _saved(_hdf5),
)


@st.composite
def mangled(draw, content):
    """The bytes of a file with some changed, cut, doubled or put in, or another file altogether."""
    kind = draw(st.sampled_from(("flip", "flip", "flip", "cut", "insert", "drop", "foreign")))
    if kind == "foreign":
        return draw(st.sampled_from(FOREIGN))
    place = draw(st.integers(0, len(content) - 1))
    if kind == "cut":
        return content[:place]
    if kind == "insert":
        return content[:place] + draw(st.binary(min_size=1, max_size=20)) + content[place:]
    if kind == "drop":
        return content[:place] + content[place + draw(st.integers(1, 50)) :]
    changed = bytearray(content)
    for at in [place, *draw(st.lists(st.integers(0, len(content) - 1), max_size=5))]:
        changed[at] ^= draw(st.integers(1, 255))
    return bytes(changed)


@st.composite
def replaced(draw, tree, leaves=TREES):
    """A tree of mappings and lists in which one entry is replaced, taken away, or has another name."""
    whole = {"": copy.deepcopy(tree)}
    parent, key = whole, ""
    while isinstance(parent[key], dict | list) and parent[key] and draw(st.integers(0, 3)):
        parent = parent[key]
        key = draw(st.sampled_from(sorted(parent) if isinstance(parent, dict) else range(len(parent))))
    kind = draw(st.sampled_from(("replace", "replace", "remove", "rename")))
    if kind == "replace" or parent is whole:
        parent[key] = draw(leaves)
    elif kind == "rename" and isinstance(parent, dict):
        parent[draw(st.text(max_size=5))] = parent.pop(key)
    else:
        parent.pop(key)
    return whole[""]


@st.composite
def other_array(draw, array):
    """An array of another shape, type or content."""
    kind = draw(st.sampled_from(("shape", "type", "nan", "empty", "scalar", "larger")))
    if kind == "type":
        return np.zeros(array.shape, draw(st.sampled_from(("i8", "c16", "S3", "U2", "?", "f2", "M8[s]"))))
    if kind == "nan":
        return np.full(array.shape, draw(st.sampled_from((np.nan, np.inf, 1e300))))
    shape = {"empty": (0,), "scalar": (), "larger": (*array.shape, 2)}.get(kind, (*array.shape[::-1], 1))
    return np.zeros(shape)


@st.composite
def other_arrays(draw, arrays):
    """Named arrays with one that is missing, has another name, or is another one."""
    changed = dict(arrays)
    name = draw(st.sampled_from(sorted(arrays)))
    kind = draw(st.sampled_from(("remove", "rename", "change", "change", "add")))
    if kind == "change":
        changed[name] = draw(other_array(changed[name]))
    elif kind == "add":
        changed["x"] = np.zeros(2)
    else:
        array = changed.pop(name)
        if kind == "rename":
            changed[draw(st.sampled_from(("x", "weights/x", name + "x", "a/b/c")))] = array
    return changed
