"""Make a subset of a COCO-format dataset: a front-end to copy and change. The same as `yolo-focal subset`.

python scripts/make_coco_subset.py annotations=instances_train.json images=train2017 out=subset categories=person,car
python scripts/make_coco_subset.py annotations=val2017 out=subset profile=zipf imbalance=50   # downloads what it needs
"""

import sys

from yolo_focal.cli import main

if __name__ == "__main__":
    sys.exit(main(["subset", *sys.argv[1:]]))
