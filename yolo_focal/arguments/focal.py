"""What the user asked for: the training arguments of this plugin, checked once, as one frozen value.

`KEYS` is the single table of training arguments: name, default, what it accepts, one line of help. Everything that
lists, registers, checks or documents arguments reads it.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from yolo_focal.arguments.key import Key, Problem, number, one_of, problems_of, switch
from yolo_focal.console import is_part_of_a_run
from yolo_focal.errors import ConfigError
from yolo_focal.loss_facts import LOSS_FACTS
from yolo_focal.numbers import is_number

__all__ = [
    "Branch",
    "FocalConfig",
    "KEYS",
    "Scope",
    "focal_keys",
    "idle_beside",
    "idle_settings",
    "read_config",
]

Branch = Literal["both", "one2many", "one2one"]
Scope = Literal["both", "cls", "obj"]
Alpha = float | tuple[float, ...] | Literal["auto"] | None
SAME: Final = "same"  # of an objectness setting: as the class loss has it
AUTO: Final = "auto"  # of fl_gain: found in each batch; of fl_alpha: numbers from the start of a training on


_NOT_NEGATIVE = number(lambda value: value >= 0, "a number >= 0")
_POSITIVE = number(lambda value: value > 0, "a number > 0")
_SHARE = number(lambda value: 0 <= value <= 1, "a number between 0 and 1")


def _alpha(value: Any) -> str | None:
    expected = f"a number between 0 and 1, -1 (off), a list with one such number per class, or {AUTO}"
    if value == AUTO:
        return None
    if isinstance(value, list | tuple):
        return None if value and all(is_number(item) and 0 <= item <= 1 for item in value) else expected
    return None if is_number(value) and (value == -1 or 0 <= value <= 1) else expected


def _or_same(problem: Problem, expected: str) -> Problem:
    return lambda value: None if value == SAME or (problem(value) is None and is_number(value)) else expected


_FOCAL_KEYS = (
    Key("focal", False, "wrap the class criterion in the loss fl_loss; giving any fl_* switches it on", switch),
    Key("fl_loss", "focal", "the loss: " + ", ".join(LOSS_FACTS), one_of(LOSS_FACTS)),
    Key("fl_gamma", 1.5, "focusing exponent; 0 keeps every example's full weight", _NOT_NEGATIVE),
    Key(
        "fl_alpha",
        0.25,
        f"balance of positives in [0, 1]; -1 is off; a list has one number per class; {AUTO}: from class frequencies",
        _alpha,
    ),
    Key(
        "fl_gain",
        AUTO,
        f"factor on the loss; {AUTO}: in each batch the one that gives its gradient the size of BCE's; 1: as published",
        lambda value: None if value == AUTO or _POSITIVE(value) is None else f"a number > 0, or {AUTO}",
    ),
    Key("fl_warmup", 0.0, "epochs over which gamma grows linearly from 0 to fl_gamma", _NOT_NEGATIVE),
    Key(
        "fl_cooldown",
        0.0,
        "share of the epochs, at the end, over which gamma falls linearly to 0 (BCE, weighed by fl_alpha)",
        _SHARE,
    ),
    Key(
        "fl_class_weights",
        0.0,
        "power of inverse class frequency that weighs the classes, the mean weight of an object being 1; 0 is off",
        _SHARE,
    ),
    Key("fl_vfl_alpha", 0.75, "RT-DETR with fl_loss=vfl: weight of negatives in its varifocal loss", _SHARE),
    Key("fl_scope", "both", "anchor detector: the criteria it acts on: both, cls, obj", one_of(Scope.__args__)),  # type: ignore[attr-defined]
    Key(
        "fl_obj_gamma",
        SAME,
        "anchor detector: fl_gamma of the objectness loss",
        _or_same(_NOT_NEGATIVE, f"a number >= 0, or {SAME} (as fl_gamma)"),
    ),
    Key(
        "fl_obj_alpha",
        SAME,
        "anchor detector: fl_alpha of the objectness loss",
        _or_same(_alpha, f"a number between 0 and 1, -1 (off), or {SAME} (as fl_alpha)"),
    ),
    Key("fl_branch", "both", "branch of an end-to-end head: both, one2many, one2one", one_of(Branch.__args__)),  # type: ignore[attr-defined]
)

KEYS: dict[str, Key] = {key.name: key for key in _FOCAL_KEYS}


def focal_keys(arguments: Iterable[str]) -> list[str]:
    """Those of `arguments` that set the loss, `focal` itself left out."""
    return [name for name in arguments if name in KEYS and name != "focal"]


@dataclass(frozen=True)
class FocalConfig:
    """The checked settings of one training.

    Attributes:
        loss: a name of `yolo_focal.losses.LOSS_FACTS`.
        gamma: focusing exponent, >= 0.
        alpha: weight of positives in [0, 1], one per class, None for no balancing, or "auto" until the class
            frequencies are known.
        gain: factor on the loss, > 0, or "auto": in each batch the one that gives its gradient the size of BCE's.
        warmup: epochs over which gamma grows linearly from 0, >= 0.
        cooldown: share of the epochs, at the end, over which gamma falls linearly to 0, in [0, 1].
        class_weights: power of inverse class frequency that weighs the classes, in [0, 1]; 0 is off.
        varifocal_alpha: weight of negatives in RT-DETR's varifocal loss, in [0, 1].
        branch: the branches of an end-to-end head that get the loss.
        scope: the criteria of an anchor detector that get the loss.
        objectness_gamma: gamma of an anchor detector's objectness loss, or "same".
        objectness_alpha: alpha of an anchor detector's objectness loss, or "same".
    """

    loss: str = "focal"
    gamma: float = 1.5
    alpha: Alpha = 0.25
    gain: float | Literal["auto"] = "auto"
    branch: Branch = "both"
    scope: Scope = "both"
    objectness_gamma: float | Literal["same"] = "same"
    objectness_alpha: Alpha | Literal["same"] = "same"
    warmup: float = 0.0
    cooldown: float = 0.0
    varifocal_alpha: float = 0.75
    class_weights: float = 0.0

    def gamma_at(self, epoch: int, epochs: int) -> float:
        """Gamma in one epoch: fl_gamma * min(1, epoch / fl_warmup, (epochs - 1 - epoch) / (fl_cooldown * epochs)).

        With a cool-down it is 0 in the last epoch.

        Args:
            epoch: its number, the first being 0.
            epochs: of the training.
        """
        rise = epoch / self.warmup if self.warmup else 1.0
        fall = (epochs - 1 - epoch) / (self.cooldown * epochs) if self.cooldown else 1.0
        return self.gamma * min(1.0, rise, max(fall, 0.0))

    def for_objectness(self) -> "FocalConfig":
        """The settings of an anchor detector's objectness loss; there are no classes in it that could be equalized."""
        return dataclasses.replace(
            self,
            loss="focal" if self.loss == "efl" else self.loss,
            gamma=self.gamma if self.objectness_gamma == "same" else self.objectness_gamma,
            alpha=self.alpha if self.objectness_alpha == "same" else self.objectness_alpha,
        )

    @property
    def settled_alpha(self) -> float | tuple[float, ...] | None:
        """`alpha`; ConfigError while it is still "auto"."""
        if self.alpha == "auto":
            raise ConfigError(f"fl_alpha={AUTO} is settled when a training starts on a dataset; give numbers here")
        return self.alpha

    def check_classes(self, number_of_classes: int, among_them: str = "") -> None:
        """Raise ConfigError where a setting does not fit, or cannot act with, the dataset's number of classes.

        Args:
            number_of_classes: of the dataset.
            among_them: a class that it does not name itself, as it is called in the message.
        """
        if isinstance(self.alpha, tuple) and len(self.alpha) != number_of_classes:
            raise ConfigError(
                f"fl_alpha has {len(self.alpha)} numbers, but the dataset has {number_of_classes} classes"
                f"{f' with {among_them}' if among_them else ''}; "
                "give one number per class, or a single number for all"
            )

    def __str__(self) -> str:
        """As in the start line of a training: `focal(gamma=1.5, alpha=0.25, gain=auto)`."""
        row = LOSS_FACTS[self.loss]
        shown = {
            "gamma": f"{self.gamma:g}" if row.uses_gamma else None,
            "alpha": _alpha_text(self.alpha) if row.uses_alpha else None,
            "gain": None if self.loss == "bce" and self.gain == AUTO else _number_text(self.gain),
            "warmup": f"{self.warmup:g} epochs" if self.warmup else None,
            "cooldown": f"{self.cooldown:g} of the epochs" if self.cooldown else None,
            "class_weights": f"{self.class_weights:g}" if self.class_weights else None,
        }
        return f"{self.loss}({', '.join(f'{name}={text}' for name, text in shown.items() if text is not None)})"


def _number_text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _alpha_text(alpha: Alpha) -> str:
    if alpha is None:
        return "off"
    if isinstance(alpha, str):
        return alpha
    return f"[{', '.join(f'{item:g}' for item in alpha)}]" if isinstance(alpha, tuple) else f"{alpha:g}"


def read_config(arguments: Mapping[str, Any]) -> FocalConfig | None:
    """The settings in `arguments`, or None where the plugin is off.

    `arguments` are those of a call (only what the user gave) or complete ones; keys of other owners are passed over.
    The plugin is on with `focal=True`, and, where `focal` is not given at all, with any other key of `KEYS`.

    Raises:
        ConfigError: every bad value at once; or `focal=False` beside a key that only acts with `focal=True`.
    """
    if problems := problems_of(KEYS, arguments):
        raise ConfigError(problems)
    given = focal_keys(arguments)
    if not arguments.get("focal", bool(given)):
        complete = arguments.keys() >= KEYS.keys()  # then a key may merely stand at its default
        acting = [name for name in given if not complete or arguments[name] != KEYS[name].default]
        if acting:
            raise ConfigError(
                f"focal=False switches the plugin off, but {', '.join(f'{name}={arguments[name]}' for name in acting)} "
                "needs it on; give focal=True or leave these out"
            )
        return None
    values = {name: arguments.get(name, key.default) for name, key in KEYS.items()}
    problems = _schedule_problems(values, arguments)
    if values["fl_class_weights"] and arguments.get("cls_pw"):
        problems.append(
            f"fl_class_weights={values['fl_class_weights']:g} and cls_pw={arguments['cls_pw']} both weigh the classes; "
            "leave one out"
        )
    if problems:
        raise ConfigError(problems)
    return _config(values)


def idle_beside(name: str, config: FocalConfig) -> str | None:
    """The setting beside which the argument `name` has no effect, as `fl_loss=bce`; None where it has one."""
    if name in ("fl_obj_gamma", "fl_obj_alpha") and config.scope == "cls":
        return "fl_scope=cls"
    of_objectness = {"fl_gamma": config.objectness_gamma, "fl_alpha": config.objectness_alpha}
    if config.scope == "obj" and of_objectness.get(name, SAME) != SAME:
        return f"fl_scope=obj beside {name.replace('fl_', 'fl_obj_')}"
    facts = LOSS_FACTS[config.loss]
    without_gamma = name in ("fl_gamma", "fl_obj_gamma") and not facts.uses_gamma
    without_alpha = name in ("fl_alpha", "fl_obj_alpha") and not facts.uses_alpha
    return f"fl_loss={config.loss}" if without_gamma or without_alpha else None


def idle_settings(given: Mapping[str, Any], config: FocalConfig) -> list[str]:
    """A sentence for every argument that the user gave and that has no effect beside the others.

    A value at its default claims nothing, nor does an alpha of -1: it is off. Not for the arguments of a run that is
    resumed, which must go on as it began.

    Args:
        given: the arguments of a call, or all of a training.
        config: what `read_config` makes of all of them.
    """
    return [
        f"{name}={given[name]} cannot act: {beside} does not use it; leave it out"
        for name in focal_keys(given)
        if given[name] not in (KEYS[name].default, -1) and (beside := idle_beside(name, config)) is not None
    ]


_WITHOUT_GAMMA_ZERO = {
    "efl": "whose weight gamma_j / gamma grows beyond all bounds",
    "mal": "whose target t^gamma nears 1 for every positive",
}


def _schedule_problems(values: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str]:
    """What is wrong with fl_warmup and fl_cooldown, where the number of epochs is known also beside it."""
    moving = {name: values[name] for name in ("fl_warmup", "fl_cooldown") if values[name]}
    named = " ".join(f"{name}={value:g}" for name, value in moving.items())
    if moving and (why := _WITHOUT_GAMMA_ZERO.get(values["fl_loss"])) is not None:
        return [f"{named} does not fit fl_loss={values['fl_loss']}, {why} as gamma nears 0; leave it out"]
    if moving and not LOSS_FACTS[values["fl_loss"]].uses_gamma:
        return [f"{named} cannot act: fl_loss={values['fl_loss']} has no gamma; leave it out"]
    if moving and not values["fl_gamma"] and not is_part_of_a_run():  # a trial of a tuning may end up there
        return [f"{named} cannot act: fl_gamma=0 is where it would lead; leave it out"]
    epochs = arguments.get("epochs")
    if not moving or arguments.get("time") or epochs is None or not is_number(epochs):
        return []
    taken = values["fl_warmup"] + values["fl_cooldown"] * epochs
    if taken > epochs:
        return [f"{named} takes {taken:g} epochs, but the training has epochs={epochs}; lower it or train longer"]
    config = _config(values)
    if config.gamma and not any(config.gamma_at(epoch, epochs) for epoch in range(math.ceil(epochs))):
        return [f"{named} holds gamma at 0 in all of epochs={epochs}; lower it or train longer"]
    return []


def _config(values: Mapping[str, Any]) -> FocalConfig:
    objectness_gamma, objectness_alpha = values["fl_obj_gamma"], values["fl_obj_alpha"]
    return FocalConfig(
        loss=values["fl_loss"],
        gamma=float(values["fl_gamma"]),
        alpha=_as_alpha(values["fl_alpha"]),
        gain=AUTO if values["fl_gain"] == AUTO else float(values["fl_gain"]),
        warmup=float(values["fl_warmup"]),
        cooldown=float(values["fl_cooldown"]),
        class_weights=float(values["fl_class_weights"]),
        varifocal_alpha=float(values["fl_vfl_alpha"]),
        branch=values["fl_branch"],
        scope=values["fl_scope"],
        objectness_gamma="same" if objectness_gamma == SAME else float(objectness_gamma),
        objectness_alpha="same" if objectness_alpha == SAME else _as_alpha(objectness_alpha),
    )


def _as_alpha(alpha: Any) -> Alpha:
    if isinstance(alpha, list | tuple):
        return tuple(map(float, alpha))
    return AUTO if alpha == AUTO else None if alpha == -1 else float(alpha)
