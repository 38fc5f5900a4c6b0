"""Blocks of a page."""

from markupsafe import Markup

from lattice_flows.report import page
from lattice_flows.report.tables import Table


def test_decimal_points_stand_below_each_other():
    table = page.table(
        Table(["", "value"], [["a", "-1.25(10)"], ["b", "10"], ["c", ""], ["d", Markup("<b>3.5</b>")], ["e", "12 x"]])
    )
    cells = [cell.split("</td>")[0] for cell in table.split('<td class="number">')[1:]]
    assert cells == ["\N{MINUS SIGN}1.25(10)", "10       ", "", "<b>3.5</b>     ", "12 x"]


def test_text_is_escaped_wherever_it_stands():
    shown = page.paragraph("<x>") + page.code("<x>") + page.verdict("bad", "<x>") + page.folded("<x>", page.code("<x>"))
    shown += page.table(Table(["<x>"], [["<x>"]]), "<x>")
    assert "<x>" not in shown and shown.count("&lt;x&gt;") == 8


def test_nothing_is_shown_of_what_is_empty():
    assert not page.table(None) and not page.table(Table(["a"], [])) and not page.paragraph("")
