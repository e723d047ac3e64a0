"""The training arguments that show rare classes more often, checked once, as one frozen value.

They act on the images a training sees and not on its loss, so they are on with or without a focal loss.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from yolo_focal.arguments.key import Key, number, problems_of
from yolo_focal.errors import ConfigError
from yolo_focal.numbers import is_number

__all__ = ["AUTO", "RARE_KEYS", "RARE_SWITCHES", "RareConfig", "rare_problems", "read_rare_config"]

AUTO: Final = "auto"  # of rare_sampling: the median class's image frequency is the threshold


def _sampling(value: Any) -> str | None:
    expected = f"0 (off), {AUTO}, or a threshold in (0, 1]"
    return None if value == AUTO or (is_number(value) and 0 <= value <= 1) else expected


RARE_KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        Key(
            "rare_sampling",
            0,
            f"show images of rare classes more often: 0 off; {AUTO}; or the image frequency below which a class is "
            "rare, in (0, 1]",
            _sampling,
        ),
        Key(
            "rare_paste",
            0.0,
            "share of training images into which objects of rare classes are pasted, in [0, 1]",
            number(lambda value: 0 <= value <= 1, "a share of the images between 0 and 1"),
        ),
        Key(
            "rare_power",
            0.5,
            "exponent of inverse frequency in rare_sampling and rare_paste, in (0, 1]",
            number(lambda value: 0 < value <= 1, "a number in (0, 1]"),
        ),
        Key(
            "rare_stop",
            0.0,
            "share of the epochs, at the end, without rare_sampling and rare_paste, in [0, 1)",
            number(lambda value: 0 <= value < 1, "a share of the epochs in [0, 1)"),
        ),
    )
}
RARE_SWITCHES = ("rare_sampling", "rare_paste")


@dataclass(frozen=True)
class RareConfig:
    """The checked settings of one training in which at least one of sampling and pasting is on.

    Attributes:
        sampling: the image frequency below which a class is rare, in (0, 1]; 0 is off; "auto" takes the median class's.
        paste: share of the training images into which crops are pasted, in [0, 1]; 0 is off.
        power: exponent of inverse frequency in both, in (0, 1].
        stop: share of the epochs, at the end, without both, in [0, 1).
    """

    sampling: float | Literal["auto"] = 0.0
    paste: float = 0.0
    power: float = 0.5
    stop: float = 0.0

    def stop_epoch(self, epochs: int) -> float:
        """The first epoch, counted from 0, that has neither sampling nor pasting; infinity if all have."""
        # Rounded first: 10 * (1 - 0.7) is a little above 3.
        return math.ceil(round(epochs * (1 - self.stop), 6)) if self.stop else math.inf

    def __str__(self) -> str:
        """As the arguments are written: `rare_sampling=auto rare_paste=0.5`."""
        values = {
            "rare_sampling": self.sampling,
            "rare_paste": self.paste,
            "rare_power": self.power if self.power != RARE_KEYS["rare_power"].default else 0,
            "rare_stop": self.stop,
        }
        return " ".join(
            f"{name}={value if isinstance(value, str) else format(value, 'g')}"
            for name, value in values.items()
            if value
        )


def rare_problems(arguments: Mapping[str, Any]) -> list[str]:
    """A sentence for every value in `arguments` that an argument of `RARE_KEYS` does not accept, or that cannot act."""
    problems = problems_of(RARE_KEYS, arguments)
    if problems or any(arguments.get(name) for name in RARE_SWITCHES):
        return problems
    idle = [
        f"{name}={arguments[name]}"
        for name, key in RARE_KEYS.items()
        if name not in RARE_SWITCHES and name in arguments and arguments[name] != key.default
    ]
    if idle:
        return [f"{', '.join(idle)} cannot act: rare_sampling and rare_paste are off; switch one on or leave it out"]
    return []


def read_rare_config(arguments: Mapping[str, Any]) -> RareConfig | None:
    """The settings in `arguments`, or None where both sampling and pasting are off; other keys are passed over.

    Raises:
        ConfigError: every bad value at once; or a setting that only acts with one of the two.
    """
    if problems := rare_problems(arguments):
        raise ConfigError(problems)
    values = {name: arguments.get(name, key.default) for name, key in RARE_KEYS.items()}
    if not any(values[name] for name in RARE_SWITCHES):
        return None
    sampling = values["rare_sampling"]
    return RareConfig(
        sampling=AUTO if sampling == AUTO else float(sampling),
        paste=float(values["rare_paste"]),
        power=float(values["rare_power"]),
        stop=float(values["rare_stop"]),
    )
