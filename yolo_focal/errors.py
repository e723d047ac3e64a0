"""The errors users can meet. Each message is one line: the value, what was expected, and the remedy.

    YoloFocalError
    |-- ConfigError                    a training argument, a command's argument or a hyperparameter file
    |-- DataError                      a dataset, an annotation file, a results file, an output folder
    |-- CheckpointError                a weights file
    |   `-- UntrustedCheckpointError   one that could run code when it is loaded
    |-- UnsupportedModelError          a head or trainer in which the setting cannot act
    |-- UnsupportedUltralyticsError    an installed Ultralytics without the places the plugin has to reach
    `-- MissingExtraError              an optional dependency; the message has the install command

The command line turns every one of them into that line on stderr and exit code 2.
"""

import re
from collections.abc import Iterable

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "MissingExtraError",
    "UnsupportedModelError",
    "UnsupportedUltralyticsError",
    "UntrustedCheckpointError",
    "YoloFocalError",
    "reason_of",
]

_DECORATION = re.compile(r"\x1b\[[0-9;]*m|❌")


def reason_of(error: BaseException) -> str:
    """What an error of another package says, in one line without colours and signs; its class where it says nothing."""
    return " ".join(_DECORATION.sub("", str(error)).split()) or type(error).__name__


class YoloFocalError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(YoloFocalError, ValueError):
    """One or more arguments are unknown, of the wrong type, or out of range.

    Attributes:
        problems: one sentence for each wrong argument, all those of the call.
    """

    def __init__(self, problems: str | Iterable[str]):
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("; ".join(self.problems))


class DataError(YoloFocalError, ValueError):
    """A dataset, annotation or results file that cannot be used, or an output folder that cannot be written."""


class CheckpointError(YoloFocalError, ValueError):
    """A weights file that is not what it has to be; nothing in it was executed."""


class UntrustedCheckpointError(CheckpointError):
    """A checkpoint could run code when it is loaded."""


class UnsupportedModelError(YoloFocalError, TypeError):
    """A model whose head or criterion the plugin cannot serve, named in the message."""


class UnsupportedUltralyticsError(YoloFocalError, RuntimeError):
    """The installed Ultralytics lacks seams; the message lists them and the supported versions."""


class MissingExtraError(YoloFocalError, ImportError):
    """An optional dependency is not installed; the message has the command that installs it."""
