"""What is seen on a terminal, and in a log file."""

import io
import re
import time

import pytest
from rich.console import Console

from lattice_flows.progress import Part, Progress, display


def shown(body, **options):
    text = io.StringIO()
    body(Progress(Console(file=text, width=200, **options)))
    return text.getvalue()


def watched(progress):
    with progress.bar("training", total=10, completed=4) as bar:
        bar.advance(3, "loss -1.250")
        time.sleep(0.3)  # bars are drawn ten times a second
    progress.info("done [in brackets]")


def compiling(progress):
    with progress.working("compiling [the step]"):
        time.sleep(1.2)  # the clock shows whole seconds


def test_a_terminal_shows_the_bar_with_the_time_left():
    text = shown(watched, force_terminal=True)
    assert "7/10" in text and "loss -1.250" in text and "left" in text and "in brackets" in text


def test_a_log_file_has_lines_alone():
    assert shown(watched) == "done [in brackets]\n"


def test_a_file_is_no_terminal_whatever_colours_are_forced(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as Jupyter does for the commands of its cells
    watched(Progress())
    assert capsys.readouterr().out == "done [in brackets]\n"


def test_a_terminal_shows_what_is_being_compiled_and_for_how_long():
    text = shown(compiling, force_terminal=True)
    assert "compiling [the step]" in text and " 1 s" in text
    assert re.search(r"compiling \[the step\]: 1\.\d s\n", text) and "..." not in text


def test_a_log_file_has_a_line_at_the_start_and_one_with_the_seconds():
    assert re.fullmatch(r"compiling \[the step\] \.\.\.\ncompiling \[the step\]: 1\.\d s\n", shown(compiling))


def test_an_error_while_working_is_raised_and_no_seconds_are_shown():
    def fails(progress):
        with pytest.raises(ValueError, match="out of memory"), progress.working("compiling"):
            raise ValueError("out of memory")

    assert shown(fails) == "compiling ...\n"


def test_a_quiet_one_shows_nothing(capsys):
    progress = Progress(quiet=True)
    watched(progress)
    with progress.working("compiling"):
        pass
    assert capsys.readouterr() == ("", "")


def whole(progress):
    with progress.whole([Part("training", 300.0, "E1"), Part("sampling", 100.0, "E1")]):
        with progress.part("training"):
            with progress.working("compiling"):
                time.sleep(0.1)
            with progress.bar("training", total=10) as bar:
                bar.advance(5, "loss -1")
                with progress.meanwhile("evaluating"):
                    time.sleep(0.4)
                bar.advance(5)
        with progress.part("sampling"), progress.bar("sampling", total=100):
            time.sleep(0.3)


def test_a_terminal_shows_all_that_happens_at_once_and_the_whole():
    text = shown(whole, force_terminal=True).replace("\r", "")
    assert re.search(
        r"training +\S+ +5/10 +0 s, about 0 s left *\n  loss -1 *\n.*evaluating.* 0 s *\n.*part 1 of 2 \(E1, training\), ", text
    )
    assert re.search(r"sampling .*0/100 .*\n.*part 2 of 2 \(E1, sampling\), about \d s left in all", text)


def test_a_log_file_gets_a_sign_of_life_after_silence(monkeypatch):
    monkeypatch.setattr(display, "_SILENCE", 0.15)
    lines = shown(whole).splitlines()
    assert lines[0] == "compiling ..." and lines[1].startswith("compiling: 0.1 s")
    assert re.fullmatch(
        r"training: 5 of 10, loss -1, 0 s, about 0 s left; evaluating for 0 s; part 1 of 2 \(E1, training\), about .*", lines[2]
    )
    assert lines[-1].startswith("sampling: 0 of 100, 0 s; part 2 of 2 (E1, sampling), about")
    assert 4 <= len(lines) <= 6


def test_lines_of_others_count_as_signs_of_life(monkeypatch):
    monkeypatch.setattr(display, "_SILENCE", 0.3)

    def speaks(progress):
        with progress.meanwhile("evaluating"):
            for _ in range(6):
                time.sleep(0.1)
                progress.info("line")

    assert shown(speaks) == "line\n" * 6


def test_a_reader_that_has_gone_is_found_out_by_the_main_thread_alone(monkeypatch):
    monkeypatch.setattr(display, "_SILENCE", 0.05)

    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    progress = Progress(display._Console(file=Gone()))
    with progress.meanwhile("evaluating"):
        time.sleep(0.2)
    with pytest.raises(BrokenPipeError):
        progress.info("line")


def test_a_single_part_is_the_whole():
    def trains(progress):
        with progress.whole([Part("training", 1.0)]), progress.part("training"):
            watched(progress)

    assert "part 1" not in shown(trains, force_terminal=True)
