"""trials.jsonl: one line per trial that came to an end, only ever appended to."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolo_focal.numbers import is_number

__all__ = ["Journal"]


class Journal:
    """The trials of a comparison, each a JSON object with `configuration`, `seed` and `status`.

    A line is written in one piece and flushed to disk. A process killed in between leaves at most one unfinished line
    at the end, which the next reader cuts off: that trial did not come to an end.

    Args:
        path: the file; absent until the first trial.

    Attributes:
        damaged: numbers of the lines that are no trials; those trials count as missing.
    """

    def __init__(self, path: Path):
        self.path = path
        self.damaged: set[int] = set()

    def finished(self) -> dict[tuple[str, int], dict[str, Any]]:
        """The finished trials by configuration and seed, in the order they came."""
        return {key: row for key, row in self._last_rows().items() if row["status"] == "finished"}

    def failed(self) -> dict[tuple[str, int], dict[str, Any]]:
        """The trials whose last attempt failed."""
        return {key: row for key, row in self._last_rows().items() if row["status"] == "failed"}

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one trial; when this returns it survives a power cut."""
        line = memoryview(f"{json.dumps(row, allow_nan=False)}\n".encode())
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            while line:  # a disk that fills up takes a part, and refuses the rest with an error
                line = line[os.write(descriptor, line) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def cut_unfinished_line(self) -> None:
        """Remove what a killed process left of a line, so that the next one starts on its own."""
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)

    def _last_rows(self) -> dict[tuple[str, int], dict[str, Any]]:
        if not self.path.exists():
            return {}
        lines = self.path.read_bytes().split(b"\n")[:-1]  # what follows the last newline is unfinished
        rows = {}
        for number, line in enumerate(lines, start=1):
            row = _trial_in(line)
            if row is None:
                self.damaged.add(number)
            else:
                rows[row["configuration"], row["seed"]] = row
        return rows


def _trial_in(line: bytes) -> dict[str, Any] | None:
    """The trial that a line of the file is, or None where it is damaged."""
    try:
        row: dict[str, Any] = json.loads(line.decode())
        known = isinstance(row["configuration"], str) and isinstance(row["seed"], int)
        if row["status"] == "finished":
            known = known and all(map(is_number, row["stats"].values())) and "AP" in row["stats"]
            known = known and isinstance(row["criterion"], dict) and isinstance(row.get("files", {}), dict)
        elif row["status"] == "failed":
            known = known and isinstance(row["error"], str)
        else:
            known = False
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return row if known else None
