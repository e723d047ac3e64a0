"""Files that are either whole or absent: written under a temporary name beside their place, then renamed."""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from yolo_focal.errors import DataError
from yolo_focal.paths import exists

__all__ = [
    "check_new_folder",
    "check_writable",
    "fingerprint",
    "new_folder",
    "numbered_folder",
    "replace_file",
    "write_json",
    "write_text",
]


@contextlib.contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in `path`'s folder and rename it to `path` when the block ends without an error.

    Raises:
        DataError: `path` is a folder, or its folder cannot be written.
    """
    missing = _missing_folders(path)
    temporary = _temporary_file(path, missing)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes private files; these are ordinary ones
        _flush_to_disk(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        _remove_empty(missing)


def check_writable(path: Path, exist_ok: bool = True) -> None:
    """Raise DataError where a file could not be written to `path`: to be called before the work that it is for.

    Without `exist_ok` also where there is one.
    """
    if exists(path) and not exist_ok:
        raise DataError(f"{path} exists; name another file, or give exist_ok=True to replace it")
    missing = _missing_folders(path)
    _temporary_file(path, missing).unlink()
    _remove_empty(missing)


def _missing_folders(path: Path) -> list[Path]:
    """The folders above `path` that are not there, the innermost first."""
    return [parent for parent in path.parents if not exists(parent)]


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders that were made for something that then was not written."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _make_room(path: Path) -> None:
    """Make the folders above `path`; OSError also where its own name is one that the disk does not take."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.lstat()


def _temporary_file(path: Path, missing: Iterable[Path]) -> Path:
    if exists(path) and path.is_dir():
        raise DataError(f"{path} is a folder; name a file")
    try:
        _make_room(path)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:50]}-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        _remove_empty(missing)
        raise DataError(f"cannot write {path} ({error.strerror}); name a file that you may write") from error
    os.close(handle)
    return Path(name)


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fingerprint(path: Path) -> dict[str, Any]:
    """Length and hash of a file: `bytes` and `sha256`."""
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` as UTF-8, whole or not at all."""
    with replace_file(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write `content` to `path` as indented JSON, whole or not at all; NaN and infinities are refused."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def numbered_folder(path: Path) -> Path:
    """`path`, absolute, or where that exists the first of path2, path3, ... that does not."""
    path = path.absolute()
    if not exists(path):
        return path
    numbers = itertools.count(2)
    return next(each for n in numbers if not exists(each := path.with_name(f"{path.name}{n}")))


@contextlib.contextmanager
def new_folder(path: Path, exist_ok: bool = False) -> Iterator[Path]:
    """Yield a temporary folder, whose content is in the folder `path` when the block ends without an error.

    An empty folder at `path` stays the one it is, a mount point or the target of a link among them. With `exist_ok` one
    that is not empty does too; files of the same names are replaced.

    Raises:
        DataError: `path` exists and is not an empty folder, or cannot be written; or at the end, naming the folder in
            which everything is.
    """
    missing = _missing_folders(path)
    temporary = _temporary_folder(path, exist_ok, missing)
    try:
        yield temporary
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        _remove_empty(missing)
        if type(error) is DataError and str(temporary) in str(error):  # where the reader will never find it
            raise DataError(str(error).replace(str(temporary), str(path))) from error
        raise
    try:
        if temporary.parent == path:
            for each in sorted(temporary.iterdir()):
                each.replace(path / each.name)
            temporary.rmdir()
        else:
            temporary.chmod(0o755)
            temporary.rename(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}); everything is in {temporary}") from error


def check_new_folder(path: Path, exist_ok: bool = False) -> None:
    """Raise DataError where `new_folder` could not write to `path`: to be called before the work that it is for."""
    missing = _missing_folders(path)
    _temporary_folder(path, exist_ok, missing).rmdir()
    _remove_empty(missing)


def _temporary_folder(path: Path, exist_ok: bool, missing: Iterable[Path]) -> Path:
    try:
        there = exists(path)
        if path.is_symlink() and not there:
            raise DataError(f"the output folder {path} is a link that leads nowhere; name a new one or remove it")
        if there and (not path.is_dir() or (any(path.iterdir()) and not exist_ok)):
            raise DataError(f"the output folder {path} is not empty; name a new one or remove it")
        _make_room(path)
        place = path if there else path.parent
        return Path(tempfile.mkdtemp(prefix=f".{path.name[:50]}-", dir=place))
    except OSError as error:
        _remove_empty(missing)
        raise DataError(f"cannot write to {path} ({error.strerror}); name a folder you may write to") from error
