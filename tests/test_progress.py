"""What is seen on a terminal, and in a log file."""

import io
import time

from rich.console import Console

from lattice_flows.progress import Progress


def watched(**options):
    text = io.StringIO()
    progress = Progress(Console(file=text, width=200, **options))
    with progress.bar("training", total=10, completed=4) as bar:
        bar.advance(3, "loss -1.250")
        time.sleep(0.3)  # bars are drawn ten times a second
    progress.info("done [in brackets]")
    return text.getvalue()


def test_a_terminal_shows_the_bar_with_the_time_left():
    text = watched(force_terminal=True)
    assert "7/10" in text and "loss -1.250" in text and "left" in text and "in brackets" in text


def test_a_log_file_has_lines_alone():
    assert watched() == "done [in brackets]\n"
