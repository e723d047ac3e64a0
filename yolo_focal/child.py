"""`python -m yolo_focal.child train ...`: a training that Ultralytics starts in a process of its own.

Nobody typed its words, so that none of them says how far its checkpoints are trusted: it loads them as the process that
started it does.
"""

import sys

from yolo_focal.commands.exit_codes import exit_code_of

__all__ = ["main"]


def main() -> None:
    """Train and exit with the code of the command line."""
    from yolo_focal.ultra.command_line import run_child

    sys.exit(exit_code_of("yolo-focal", lambda: run_child(sys.argv[1:])))


if __name__ == "__main__":
    main()
