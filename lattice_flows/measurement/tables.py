"""Tables of text, aligned for a terminal and valid Markdown at the same time."""

from collections.abc import Iterable, Sequence

__all__ = ["text_table"]


def text_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, compact: bool = False) -> str:
    """A Markdown table whose columns are padded to equal widths.

    Columns in which every cell is empty are left out.

    Args:
      header: the titles of the columns.
      rows: cells of every row; None is shown as an empty cell.
      compact: for documents: cells are not padded, and all columns stay.

    Example:

    ```python
    from lattice_flows.measurement.tables import text_table

    print(text_table(["name", "value"], [["phi_squared", "0.1614(1)"]]))
    ```
    """
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    columns = [column for column in range(len(header)) if compact or not cells or any(row[column] for row in cells)]
    widths = {column: 0 if compact else max(map(len, [header[column], *(row[column] for row in cells)])) for column in columns}

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(row[column].ljust(widths[column]) for column in columns) + " |"

    rule = "|" + "|".join("-" * max(widths[column] + 2, 3) for column in columns) + "|"
    return "\n".join([line(header), rule, *map(line, cells)])
