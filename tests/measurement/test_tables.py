"""Tables of text."""

from lattice_flows.measurement.tables import text_table


def test_columns_are_padded_and_empty_ones_left_out():
    rows = text_table(["a", "none", "long title"], [["x", None, 1], ["longer", "", 2.5]]).splitlines()
    assert rows[:2] == ["| a      | long title |", "|--------|------------|"]
    assert rows[2:] == ["| x      | 1          |", "| longer | 2.5        |"]
    assert text_table(["a"], []).splitlines() == ["| a |", "|---|"]


def test_a_compact_table_has_all_columns_and_no_padding():
    rows = text_table(["a", "none"], [["longer", None]], compact=True).splitlines()
    assert rows == ["| a | none |", "|---|---|", "| longer |  |"]
