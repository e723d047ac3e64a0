"""`yolo-focal` and `python -m yolo_focal`."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from yolo_focal import cli

    sys.exit(cli.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
