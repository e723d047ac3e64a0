"""The search space of `yolo-focal tune`: training arguments with their ranges, checked before the first trial."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yolo_focal.arguments.focal import focal_keys, idle_beside, read_config
from yolo_focal.arguments.hyp import read_hyp
from yolo_focal.arguments.rare import RARE_SWITCHES
from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.errors import ConfigError
from yolo_focal.numbers import is_number
from yolo_focal.spelling import did_you_mean
from yolo_focal.ultra import host

__all__ = ["Space", "check_space", "read_space", "start_values"]

Space = dict[str, tuple[float, ...]]
_CHOSEN_BY_AUTO = ("lr0", "momentum")
_SAMPLES = 5  # values of a range that are tried on the argument's own check, both ends among them


def read_space(path: Path) -> Space:
    """The ranges in a space file of lines `key: [low, high]`, with a third number for Ultralytics' mutation gain.

    Raises:
        ConfigError: a line that is not such a range; all of them at once.
    """
    content = read_hyp(path, "space")
    problems = [f"{key} in {path} {problem}" for key, value in content.items() if (problem := _range_problem(value))]
    if problems or not content:
        raise ConfigError(problems or f"space={path} has no lines of 'key: [low, high]'")
    return {key: tuple(float(number) for number in value) for key, value in content.items()}


def check_space(space: Space, given: Mapping[str, Any]) -> None:
    """Check every key and range against the training argument it searches; needs the plugin enabled.

    Args:
        space: from `read_space`.
        given: the training arguments that stay as they are.

    Raises:
        ConfigError: an unknown argument, one that is no number, a range with values it does not accept, one that the
            chosen loss does not use, or one given a fixed value beside; all of them at once.
    """
    problems = [problem for key in space for problem in _key_problems(key, space, given)]
    if problems:
        raise ConfigError(problems)


def start_values(space: Space, given: Mapping[str, Any]) -> dict[str, float]:
    """The middle of the range for every key of `space` whose ordinary value is no number in it ('same', None, off)."""
    known = {**host.DEFAULT_CFG_DICT, **given}
    return {
        key: min(math.ceil((low + high) / 2), math.floor(high)) if key in host.cfg.CFG_INT_KEYS else (low + high) / 2
        for key, (low, high, *_) in space.items()
        if not (is_number(known[key]) and low <= known[key] <= high)
    }


def _range_problem(value: Any) -> str | None:
    numbers = isinstance(value, list) and len(value) in (2, 3) and all(is_number(number) for number in value)
    if not numbers:
        texts = [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
        if texts and all(map(_is_exponential, texts)):
            return f"has {texts[0]}, which is text to YAML; write it as {_as_yaml(texts[0])}"
        return f"must be a range of two numbers, [low, high], got {value!r}"
    if not value[0] < value[1]:
        return f"must have its low end below its high end, got {value!r}"
    if len(value) == 3 and not 0 < value[2] <= 1:
        return f"must have a mutation gain in (0, 1] as its third number, got {value!r}"
    return None


def _is_exponential(text: str) -> bool:
    """Whether `text` is a number, though not to YAML 1.1, which wants a point and a sign of the exponent: 1e-4."""
    try:
        float(text)
    except ValueError:
        return False
    return "e" in text.lower()


def _as_yaml(exponential: str) -> str:
    """1.0e-4 for 1e-4."""
    mantissa, exponent = exponential.lower().split("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent):+d}"


def _key_problems(key: str, space: Space, given: Mapping[str, Any]) -> list[str]:
    known = host.DEFAULT_CFG_DICT
    if key not in known:
        hint = did_you_mean(key, known, otherwise="")
        return [f"'{key}' in the space is not a training argument" + (f"; {hint}" if hint else "")]
    low, high = space[key][:2]
    if not _is_searchable(key, low, high):
        return [f"'{key}' in the space is not a number, so it has no range to search; give it as {key}=VALUE instead"]
    if key in given and not (is_number(given[key]) and low <= given[key] <= high):
        return [f"{key}={given[key]} is outside the range [{low:g}, {high:g}] that the space searches it in"]
    problem = _value_problem(key, low, high, _acting(key, space, given))
    return [problem] if problem else _without_effect(key, given)


def _is_searchable(key: str, low: float, high: float) -> bool:
    if key in TRAINING_KEYS:
        return any(TRAINING_KEYS[key].problem(value) is None for value in _samples(low, high))
    cfg = host.cfg
    return key in cfg.CFG_FLOAT_KEYS | cfg.CFG_FRACTION_KEYS | cfg.CFG_INT_KEYS


def _value_problem(key: str, low: float, high: float, beside: Mapping[str, Any]) -> str | None:
    """What is wrong with the range, as the argument's own check tells it about the first value it refuses."""
    whole = key in host.cfg.CFG_INT_KEYS
    if whole and math.ceil(low) > math.floor(high):
        return f"{key} is a whole number, and there is none in the range [{low:g}, {high:g}]"
    for value in _samples(low, high):
        try:
            host.get_cfg(overrides={**beside, key: round(value) if whole else value})
        except (TypeError, ValueError) as error:
            return f"the range [{low:g}, {high:g}] of {key} is refused: {' '.join(str(error).split())}"
    return None


def _acting(key: str, space: Space, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings beside which a value of `key` is judged: those given, and what switches on what it belongs to."""
    searched = {name: sum(space[name][:2]) / 2 for name in RARE_SWITCHES if name in space}
    own = {name: given[name] for name in TRAINING_KEYS if name in given}
    return {**searched, **own, **({"focal": True} if key in focal_keys([key]) else {})}


def _without_effect(key: str, given: Mapping[str, Any]) -> list[str]:
    if key in _CHOSEN_BY_AUTO and str(given.get("optimizer")).lower() == "auto":  # Ultralytics' tuner has AdamW else
        return [f"{key} has no effect with optimizer=auto, which chooses it; name an optimizer, or leave {key} out"]
    config = read_config({"focal": True, **{name: given[name] for name in focal_keys(given)}})
    assert config is not None
    beside = idle_beside(key, config)
    return [] if beside is None else [f"{key} has no effect with {beside}; leave it out of the space"]


def _samples(low: float, high: float) -> list[float]:
    return [low + (high - low) * step / (_SAMPLES - 1) for step in range(_SAMPLES)]
