"""Validate a trained model, no image lost: a front-end to copy and change. Uses a GPU where there is one.

python scripts/val.py model=runs/detect/train/weights/best.pt data=coco8.yaml
"""

import sys

from yolo_focal.cli import main

if __name__ == "__main__":
    sys.exit(main(["val", *sys.argv[1:]]))
