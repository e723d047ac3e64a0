"""yolo-focal completion: what makes a shell complete commands, arguments and values."""

from typing import Any

from yolo_focal.arguments.completion import completion_script
from yolo_focal.ultra.default_arguments import default_arguments

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Print the script of the shell."""
    print(completion_script(arguments["shell"], default_arguments()), end="")
    return 0
