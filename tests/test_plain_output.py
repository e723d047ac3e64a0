"""What goes to a log is plain text: Ultralytics' own bars, drawn into a file, a pipe and a terminal."""

import io
import os
import select
import sys

import pytest
from ultralytics.utils import TQDM, colorstr

from yolo_focal import plain_output
from yolo_focal.data.progress_bar import open_bar


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self):
        """So that bars are drawn in place."""
        return True


@pytest.fixture
def written(monkeypatch):
    """What reaches a stream while a function runs with it as standard output."""

    def through(stream, draw):
        monkeypatch.setattr(sys, "stdout", stream)
        with plain_output.plain_output():
            draw()
        assert sys.stdout is stream
        return stream.getvalue()

    return through


def bar(steps=50, **how):
    """A bar of Ultralytics that is redrawn at every step, to its end or up to a step."""
    with TQDM(total=50, desc="scan", disable=False, mininterval=0, **how) as drawn:
        for _ in range(steps):
            drawn.update(1)


def test_a_bar_is_its_last_frame(written):
    """One line, with what was printed around it on lines of its own."""
    text = written(io.StringIO(), lambda: (print("before"), bar(), print("after")))
    before, frame, after, end = text.split("\n")
    assert (before, after, end) == ("before", "after", "")
    assert frame.startswith("scan: 100%") and "50/50" in frame


def test_a_slow_bar_has_a_line_for_every_tenth(written, monkeypatch):
    """However often it is redrawn."""
    monkeypatch.setattr(plain_output, "LEAST_PAUSE", 0.0)
    lines = written(io.StringIO(), bar).splitlines()
    assert [line.split("%")[0] for line in lines] == [f"scan: {10 * tenth}" for tenth in range(1, 11)]


def test_a_bar_that_is_cut_off_shows_how_far_it_came(written):
    """As after an interruption."""

    def cut_off():
        drawn = TQDM(total=50, desc="scan", disable=False, mininterval=0)
        for _ in range(20):
            drawn.update(1)

    assert written(io.StringIO(), cut_off).startswith("scan: 40%")


def test_a_bar_that_removes_itself_leaves_nothing(written):
    """What comes next starts a line."""
    assert written(io.StringIO(), lambda: (bar(leave=False), print("after"))) == "after\n"


def test_a_log_has_no_colours(written):
    """Nor other codes of a terminal; what is printed in pieces stays together."""
    text = written(io.StringIO(), lambda: (print(colorstr("red", "bold", "no"), end=" "), print("\x1b[2K\x1b[1Ayes")))
    assert text == "no yes\n"


@pytest.mark.parametrize("no_colour", ["1", ""])
def test_a_terminal_has_colours_unless_told_otherwise(written, monkeypatch, no_colour):
    """NO_COLOR takes them, if it is not empty, and leaves the bar."""
    monkeypatch.setenv("NO_COLOR", no_colour)
    text = written(Terminal(), lambda: (print(colorstr("red", "word")), bar()))
    assert ("\x1b[31m" in text) == (not no_colour)
    assert "word" in text and text.count("\r\x1b[K") > 10


def test_a_piped_training_is_plain_text(trained):
    """From the first line to the last."""
    assert "\x1b" not in trained.printed and "\r" not in trained.printed
    assert trained.printed.count("mAP50-95): 100%") == 3  # two epochs and the final validation


def test_the_bars_of_this_package_are_lines_in_a_log(capsys):
    """Ten at most, each of them once, without control codes."""
    drawn = open_bar(200, "reading")
    for _ in range(200):
        drawn.update(1)
    drawn.close()
    error = capsys.readouterr().err
    assert 1 <= error.count("\n") <= 10 and "\r" not in error and "\x1b" not in error
    assert error.splitlines()[-1].startswith("reading: 100%") and "" not in error.splitlines()


def test_a_terminal_without_a_width_shows_bars(monkeypatch):
    """As the terminals of containers may be; tqdm alone would draw empty lines."""
    reading, writing = os.openpty()
    assert os.get_terminal_size(writing).columns == 0
    with os.fdopen(writing, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with open_bar(2, "a bar") as bar:
            bar.update(2)
        terminal.flush()
        shown = b""
        while b"a bar: 100%" not in shown and select.select([reading], [], [], 5)[0]:  # a read may give a part
            shown += os.read(reading, 10_000)
        assert b"a bar: 100%" in shown
    os.close(reading)
