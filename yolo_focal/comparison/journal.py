"""trials.jsonl: one line per trial that came to an end, only ever appended to."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolo_focal.errors import DataError

__all__ = ["Journal"]


class Journal:
    """The trials of a comparison, each a JSON object with `configuration`, `seed` and `status`.

    A line is written in one piece and flushed to disk. A process killed in between leaves at most one unfinished line
    at the end, which the next reader cuts off: that trial did not come to an end.

    Args:
        path: the file; absent until the first trial.
    """

    def __init__(self, path: Path):
        self.path = path

    def finished(self) -> dict[tuple[str, int], dict[str, Any]]:
        """The finished trials by configuration and seed, in the order they came."""
        return {key: row for key, row in self._last_rows().items() if row["status"] == "finished"}

    def failed(self) -> dict[tuple[str, int], dict[str, Any]]:
        """The trials whose last attempt failed."""
        return {key: row for key, row in self._last_rows().items() if row["status"] == "failed"}

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one trial; when this returns it survives a power cut."""
        line = json.dumps(row, allow_nan=False) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, line.encode())
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
        lines = self.path.read_text(encoding="utf-8").split("\n")[:-1]  # what follows the last newline is unfinished
        rows = {}
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                rows[row["configuration"], row["seed"]] = row
                row["status"]
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{self.path}, line {number}: not a trial ({' '.join(str(error).split())}); restore the file or "
                    "name a new out= folder"
                ) from error
        return rows
