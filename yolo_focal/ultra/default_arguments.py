"""Ultralytics' own training arguments, read from its file of defaults: importing it would take seconds."""

import importlib.util
from pathlib import Path
from typing import Any

import yaml

__all__ = ["default_arguments"]


def default_arguments() -> dict[str, Any]:
    """Name and default of each; {} where Ultralytics is not installed or keeps them elsewhere."""
    package = importlib.util.find_spec("ultralytics")
    if package is None or package.origin is None:
        return {}
    try:
        content = yaml.safe_load((Path(package.origin).parent / "cfg" / "default.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}
