"""What is compared: each configuration is a name with the training arguments it sets."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolo_focal.arguments.classic_hyp import refuse_classic
from yolo_focal.arguments.focal import KEYS, FocalConfig, focal_keys, idle_settings, read_config
from yolo_focal.arguments.hyp import read_hyp
from yolo_focal.arguments.passed_on import MEASURED_WITH, SHARED_BY_CONFIGURATIONS, is_taken, refuse_other_classes
from yolo_focal.arguments.rare import read_rare_config
from yolo_focal.errors import ConfigError
from yolo_focal.losses import LOSSES
from yolo_focal.resources import cfg_file, cfg_names
from yolo_focal.spelling import did_you_mean
from yolo_focal.ultra import host

__all__ = ["BASELINE", "CLASS_WEIGHTED", "Configuration", "parse_configurations", "split_configurations"]

BASELINE = "bce"
CLASS_WEIGHTED = "cls_pw"
CLASS_WEIGHT_POWER = 0.5  # of `cls_pw` without a number: inverse square root of the class frequency


@dataclass(frozen=True)
class Configuration:
    """One competitor.

    Attributes:
        name: as the user wrote it; unique in a comparison.
        arguments: the training arguments it sets, beyond those every configuration shares.
    """

    name: str
    arguments: Mapping[str, Any]

    @property
    def focal(self) -> FocalConfig | None:
        """The plugin's settings; None where it is off."""
        return read_config(self.arguments)

    @property
    def slug(self) -> str:
        """The name as part of a file name; a digest tells names apart of which it does not hold all."""
        legible = re.sub(r"[^A-Za-z0-9._=,-]+", "-", Path(self.name).stem if self._is_file else self.name).strip("-.")
        if legible == self.name.replace(":", "-", 1):
            return legible
        return f"{legible}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"

    @property
    def _is_file(self) -> bool:
        return self.name.endswith((".yaml", ".yml"))

    def __str__(self) -> str:
        """What it means: `focal(gamma=2, alpha=0.25)`, `BCE, cls_pw=0.5`."""
        places = ("fl_scope", "fl_branch", "fl_obj_gamma", "fl_obj_alpha")  # which a loss does not say of itself
        others = [f"{name}={value}" for name, value in self.arguments.items() if name in places or name not in KEYS]
        return ", ".join([str(self.focal or "BCE"), *others])


def parse_configurations(text: str) -> list[Configuration]:
    """The configurations in `losses=`, the baseline first whether or not it is named.

    Raises:
        ConfigError: everything wrong with them at once.
    """
    problems: list[str] = []
    found: list[Configuration] = []
    for item in split_configurations(text):
        try:
            found.append(_configuration(item))
        except ConfigError as error:
            problems += error.problems
    if not any(each.name == BASELINE for each in found):
        found.insert(0, Configuration(BASELINE, {}))
    found.sort(key=lambda each: each.name != BASELINE)
    problems += _repeated(found)
    if len(found) < 2 and not problems:
        problems.append(f"losses={text} has nothing to compare with {BASELINE}; add one, as in losses=bce,focal")
    if problems:
        raise ConfigError(problems)
    return found


def split_configurations(text: str) -> list[str]:
    """The items of a comma-separated list; a comma inside brackets, or before `key=value`, does not end an item."""
    items: list[str] = []
    for part in (part.strip() for part in re.split(r",(?![^\[]*\])", text.strip("()"))):
        continues = re.match(r"\w+\s*=", part) is not None
        if continues and items and ":" in items[-1]:
            items[-1] += f",{part}"
        elif part:
            items.append(part)
    return items


def _configuration(item: str) -> Configuration:
    base, colon, inline = item.partition(":")
    base = base.strip()
    if colon and not inline.strip():
        raise ConfigError(f"'{item}' has nothing after the colon; write {base}:fl_gamma=2, or {base} alone")
    settings = _inline_settings(item, inline) if colon else {}
    arguments = _base_arguments(base, item, settings) | settings
    # In a file those of the evaluation are for the validation while it trains.
    if shared := sorted(SHARED_BY_CONFIGURATIONS & arguments.keys() | MEASURED_WITH & settings.keys()):
        given = "".join(f", or give {name}= to the command" for name in shared if is_taken("compare", name))
        raise ConfigError(f"'{item}' sets {', '.join(shared)}, which every configuration shares; leave it out{given}")
    refuse_other_classes(f"'{item}'", arguments)
    config = read_config(arguments)
    read_rare_config(arguments)
    if config is not None and (idle := idle_settings(arguments, config)):
        raise ConfigError([f"'{item}': {sentence}" for sentence in idle])
    return Configuration(item, arguments)


def _inline_settings(item: str, inline: str) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for part in re.split(r",(?![^\[]*\])", inline):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if not (separator and name.isidentifier() and value):
            raise ConfigError(f"'{part.strip()}' in '{item}' must be key=value, as in focal:fl_gamma=2,fl_alpha=0.5")
        if name in settings:
            raise ConfigError(f"'{item}' gives {name} twice; keep one")
        settings[name] = host.smart_value(value)
    return settings


def _base_arguments(base: str, item: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the part before the colon stands for: the baseline, a preset, a loss, class weights, or a file."""
    per_class = {name for name, row in LOSSES.items() if row.elementwise}  # the others cannot train a detector
    if base == BASELINE:
        return {"focal": True, "fl_loss": BASELINE} if focal_keys(settings) else {}
    if base == CLASS_WEIGHTED:
        return {CLASS_WEIGHTED: CLASS_WEIGHT_POWER}
    if preset := cfg_file("hyp", base):
        return read_hyp(preset)
    if base in per_class:
        return {"focal": True, "fl_loss": base}
    if Path(base).is_file():
        content = read_hyp(Path(base))
        refuse_classic(content, f"losses={base}")
        return content
    names = sorted({*per_class, *cfg_names("hyp"), CLASS_WEIGHTED})
    known = f"{did_you_mean(base, names, otherwise='')} known: {', '.join(names)}".lstrip()
    raise ConfigError(f"unknown loss '{base}' in losses=; {known}, or the path of a YAML file")


def _repeated(found: list[Configuration]) -> list[str]:
    problems = []
    for index, each in enumerate(found):
        twin = next((other for other in found[:index] if _meaning(other) == _meaning(each)), None)
        if twin is not None:
            problems.append(f"'{twin.name}' and '{each.name}' are the same configuration ({each}); keep one")
    return problems


def _meaning(configuration: Configuration) -> tuple[Any, ...]:
    others = sorted((name, repr(value)) for name, value in configuration.arguments.items() if name not in KEYS)
    return configuration.focal, tuple(others)
