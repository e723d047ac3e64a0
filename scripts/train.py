"""Train with a focal loss: a front-end to copy and change. Uses a GPU where there is one.

python scripts/train.py model=yolo11n.pt data=coco8.yaml epochs=100 imgsz=640 fl_gamma=1.5 fl_alpha=0.25
python scripts/train.py model=yolo11n.pt data=coco8.yaml cfg=qfl device=0,1     # two GPUs
"""

import sys

from yolo_focal.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
