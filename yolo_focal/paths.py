"""Whether a file or folder is there, also for names that no file system can hold: too long, or with a null byte."""

from pathlib import Path

__all__ = ["exists", "is_file", "is_folder"]


def exists(path: Path) -> bool:
    """Whether anything is there; False where it could not be looked up."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether a file is there; False where it could not be looked up."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether a folder is there; False where it could not be looked up."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
