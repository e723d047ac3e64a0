"""What nobody expected is one line and a file to report it with."""

import errno
import re
from pathlib import Path

import pytest

from yolo_focal.commands.exit_codes import DEBUG_VARIABLE, exit_code_of
from yolo_focal.errors import CheckpointError, ConfigError


def fail():
    """As a bug would."""
    raise ZeroDivisionError("of a\nkind")


def test_a_bug_is_one_line_with_a_file_that_has_its_traceback(capsys, monkeypatch):
    """Exit code 1; the file has versions, the command and where it happened."""
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)
    assert exit_code_of("yolo-focal", fail) == 1
    error = capsys.readouterr().err
    found = re.fullmatch(
        r"yolo-focal: ZeroDivisionError: of a kind \(unexpected; please report it with (\S+)\)\n", error
    )
    content = Path(found[1]).read_text(encoding="utf-8")
    Path(found[1]).unlink()
    assert "Traceback" in content and "in fail" in content
    assert all(name in content for name in ("python 3", "ultralytics 8", "torch 2", "command: ["))


def test_where_no_file_can_be_written_the_line_says_how_to_see_it(capsys, monkeypatch, tmp_path):
    """A full disk, a read-only machine."""
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    assert exit_code_of("yolo-focal", fail) == 1
    assert "(unexpected; YOLO_FOCAL_DEBUG=1 shows where)" in capsys.readouterr().err


def test_debugging_shows_it(monkeypatch):
    """The exception itself."""
    monkeypatch.setenv(DEBUG_VARIABLE, "1")
    with pytest.raises(ZeroDivisionError):
        exit_code_of("yolo-focal", fail)


def test_what_is_expected_stays_as_it_was(capsys):
    """Bad input is 2, and an interruption 130."""

    def refuse():
        raise ConfigError("no")

    def interrupt():
        raise KeyboardInterrupt

    assert exit_code_of("yolo-focal", refuse) == 2
    assert exit_code_of("yolo-focal", interrupt) == 130
    assert "unexpected" not in capsys.readouterr().err


@pytest.mark.parametrize(("reason", "expected"), [(errno.ENOSPC, 1), (errno.EFBIG, 1), (errno.EACCES, 2)])
def test_a_full_disk_is_no_bad_input(capsys, reason, expected):
    """What was written before it is kept; a file that may not be written is another matter."""

    def save():
        try:
            raise OSError(reason, "the disk's words")
        except OSError as error:
            raise CheckpointError("the checkpoint of epoch 7 cannot be written") from error

    assert exit_code_of("yolo-focal", save) == expected
    assert capsys.readouterr().err == "yolo-focal: the checkpoint of epoch 7 cannot be written\n"
