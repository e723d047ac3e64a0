"""Rare classes in a distributed training: two processes see together what one would, also after a crash."""

import json
import subprocess
from collections import defaultdict

import pytest

from tests.ultra.helpers import QUICK
from tests.ultra.ranks import DIES_IN, RECORDS, Recording, TwoRanks
from tests.ultra.sampling.test_training_images import PLAIN, SIZE, write_tail

EPOCHS = 3


def lines_of(folder, rank=0):
    """What a rank wrote, in order."""
    return [json.loads(line) for line in (folder / f"{rank}.jsonl").read_text(encoding="utf-8").splitlines()]


def batches_of(lines):
    """The batches of each epoch, the last time it was trained: (file, pixels, boxes) of every image."""
    epochs, before = defaultdict(list), None
    for line in lines:
        if "files" not in line:
            continue
        if before is not None and line["epoch"] < before:  # a resumed training
            epochs = defaultdict(list, {epoch: kept for epoch, kept in epochs.items() if epoch < line["epoch"]})
        before = line["epoch"]
        epochs[before].append(list(zip(line["files"], line["pixels"], line["boxes"], strict=True)))
    return dict(epochs)


@pytest.mark.slow
def test_two_ranks_train_on_what_one_process_would(enabled, tmp_path, monkeypatch):
    """Disjoint draws that make up the batches of one process, pixel for pixel; the same weights, sums and exposures."""
    pytest.importorskip("cloudpickle", reason="Ultralytics needs cloudpickle to start DDP ranks")
    from ultralytics import YOLO

    data = write_tail(tmp_path / "tail", train=32)
    given = {
        **QUICK, **PLAIN, "data": str(data), "project": str(tmp_path), "imgsz": SIZE, "batch": 8, "epochs": EPOCHS,
        "close_mosaic": 0, "rare_sampling": 0.5, "rare_paste": 1.0, "fl_loss": "efl",
    }  # fmt: skip
    alone, together = tmp_path / "alone", tmp_path / "together"
    for folder in (alone, together):
        folder.mkdir()
    monkeypatch.setenv(RECORDS, str(alone))
    YOLO("yolo11n.yaml").train(**given, name="one", trainer=Recording)

    monkeypatch.setenv(RECORDS, str(together))
    monkeypatch.setenv(DIES_IN, "1")
    with pytest.raises(subprocess.CalledProcessError):
        YOLO("yolo11n.yaml").train(**given, name="two", trainer=TwoRanks)
    monkeypatch.delenv(DIES_IN)
    YOLO(str(tmp_path / "two" / "weights" / "last.pt")).train(resume=True, trainer=TwoRanks)

    one, ranks = lines_of(alone), [lines_of(together, rank) for rank in (0, 1)]
    whole, halves = batches_of(one), [batches_of(lines) for lines in ranks]
    assert set(whole) == set(halves[0]) == set(halves[1]) == set(range(EPOCHS))
    for epoch, batches in whole.items():
        assert len(batches) == len(halves[0][epoch]) == len(halves[1][epoch]) == 4
        for batch, first, second in zip(batches, halves[0][epoch], halves[1][epoch], strict=True):
            assert len(first) == len(second) == 4
            assert first == batch[0::2] and second == batch[1::2]
    assert len({file for batch in whole[0] for file, *_ in batch}) < 32  # some images were drawn more than once
    ends = [lines[-1] for lines in ranks]
    assert ends[0] == ends[1] and set(ends[0]) == {"weights", "exposure", "gradients"}
    assert ends[0]["exposure"] == one[-1]["exposure"] and ends[0]["gradients"]
