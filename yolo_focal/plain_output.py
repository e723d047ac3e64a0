"""Standard output as fits where it goes: a log gets no control codes and redrawn lines, NO_COLOR no colours.

Ultralytics draws its progress bars, and colours some words, wherever they go: a log of an hour's training would have
thousands of frames. Here a bar becomes its last frame, and one more for every tenth that took long.
"""

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast

__all__ = ["plain_output"]

_CODES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LINE_ENDS = re.compile(r"(\r?\n|\r)")
_PERCENT = re.compile(r"(\d+)%")
LEAST_PAUSE = 30.0  # seconds between two frames of one bar


@contextlib.contextmanager
def plain_output() -> Iterator[None]:
    """Inside the block `sys.stdout` is plain text unless it is a terminal, which NO_COLOR makes free of colour."""
    original = sys.stdout
    if not original.isatty():
        stream: _Filter = _Log(original)
    elif os.environ.get("NO_COLOR"):
        stream = _Filter(original)
    else:
        yield
        return
    sys.stdout = cast(TextIO, stream)
    try:
        yield
    finally:
        sys.stdout = original
        with contextlib.suppress(BrokenPipeError):
            stream.finish()


class _Filter:
    """A text stream that leaves out colours, and is the one it writes to in all else."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(_COLOURS.sub("", text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def finish(self) -> None:
        """To be called when nothing more comes: writes what was held back."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Log(_Filter):
    """A text stream without control codes, in which a line that is redrawn stands once, or once for a slow tenth."""

    def __init__(self, stream: TextIO):
        super().__init__(stream)
        self._frame: str | None = None  # of a line that is being redrawn
        self._unfinished = False  # whether the line so far has been written
        self._tenth, self._written = 0, 0.0  # of the bar: that of the last frame written, and when

    def write(self, text: str) -> int:
        for part in _LINE_ENDS.split(_CODES.sub("", text)):
            if part == "\r":
                self._redraw()
            elif part.endswith("\n"):
                self._stream.write(f"{(self._frame or '').rstrip()}\n")
                self._frame, self._unfinished = None, False
            elif self._frame is not None:
                self._frame += part
            elif part:
                self._stream.write(part)
                self._unfinished = True
        return len(text)

    def finish(self) -> None:
        """The last frame of a bar that did not come to its end."""
        if self._frame:
            self.write("\n")

    def _redraw(self) -> None:
        if self._frame is None:
            self._tenth, self._written = 0, time.monotonic()
            self._stream.write("\n" * self._unfinished)
            self._unfinished = False
        elif (percent := _PERCENT.search(self._frame)) is not None:
            tenth = int(percent[1]) // 10
            if tenth > self._tenth and time.monotonic() - self._written >= LEAST_PAUSE:
                self._stream.write(f"{self._frame.rstrip()}\n")
                self._tenth, self._written = tenth, time.monotonic()
        self._frame = ""
