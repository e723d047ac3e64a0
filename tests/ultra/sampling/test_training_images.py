"""Real Ultralytics datasets and loaders: what is drawn, what is pasted, and that nothing else is touched."""

import copy

import cv2
import numpy as np
import pytest

from yolo_focal.arguments.rare import read_rare_config
from yolo_focal.ultra.sampling.paste import LARGEST_COVER

SIZE = 96


def write_tail(root, task="detect", train=40, seed=0):
    """Grey noise with one to three common squares, and in every eighth image a rare bright one; the data YAML."""
    generator = np.random.default_rng(seed)
    for split, number in (("train", train), ("val", 6)):
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for index in range(number):
            image = generator.integers(100, 140, (SIZE, SIZE, 3), dtype=np.uint8)
            lines = []
            kinds = [0] * int(generator.integers(1, 3)) + [1] * (index % 8 == 0) + [0] * (index % 3 == 0)
            for kind in kinds:
                x, y = generator.integers(2, SIZE - 26, 2)
                image[y : y + 24, x : x + 24] = (20, 250)[kind]
                corners = np.array([[x, y], [x + 24, y], [x + 24, y + 24], [x, y + 24]]) / SIZE
                box = f"{(x + 12) / SIZE} {(y + 12) / SIZE} {24 / SIZE} {24 / SIZE}"
                outline = " ".join(str(value) for value in corners.ravel())
                lines.append(f"{kind} {outline if task == 'segment' else box}")
            cv2.imwrite(str(root / "images" / split / f"{index:03}.png"), image)
            (root / "labels" / split / f"{index:03}.txt").write_text("\n".join(lines), encoding="utf-8")
    yaml = root / "tail.yaml"
    yaml.write_text(f"path: {root}\ntrain: images/train\nval: images/val\nnames: [common, rare]\n", encoding="utf-8")
    return yaml


@pytest.fixture(scope="module")
def tail(tmp_path_factory):
    """A long tail of boxes in two classes."""
    return write_tail(tmp_path_factory.mktemp("tail"))


@pytest.fixture(scope="module")
def outlines(tmp_path_factory):
    """The same with polygons."""
    return write_tail(tmp_path_factory.mktemp("outlines"), "segment")


def trainer_of(data, folder, model="yolo11n.yaml", **changes):
    """A detection or segmentation trainer with its loaders built, before its first epoch."""
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.models.yolo.segment import SegmentationTrainer

    kind = SegmentationTrainer if "seg" in str(model) else DetectionTrainer
    given = {
        "imgsz": SIZE,
        "batch": 8,
        "epochs": 4,
        "plots": False,
        "amp": False,
        "val": False,
        "verbose": False,
        "close_mosaic": 0,
    }
    trainer = kind(
        overrides={**given, "model": model, "data": str(data), "project": str(folder), "exist_ok": True, **changes}
    )
    trainer.args.workers = changes.get("workers", 0)  # upstream sets 0 on a CPU
    trainer._setup_train()
    return trainer


def epochs_of(trainer, numbers):
    """The batches of some epochs, as the training loop fetches them."""
    for epoch in numbers:
        trainer.epoch = epoch
        trainer.run_callbacks("on_train_epoch_start")
        yield list(trainer.train_loader)


PLAIN = {"mosaic": 0.0, "hsv_h": 0, "hsv_s": 0, "hsv_v": 0, "translate": 0, "scale": 0, "fliplr": 0, "erasing": 0}


def items(trainer, epoch=0):
    """What `get_image_and_label` returns for every draw of an epoch, beside the dataset's own image and labels."""
    dataset = trainer.train_loader.dataset
    plain = copy.copy(dataset)
    del plain.rare_images
    for batch in trainer.train_loader.batch_sampler.of_epoch(epoch):
        for draw in batch:
            yield dataset.get_image_and_label(draw), plain.get_image_and_label(int(draw))


def corners(label):
    """(n, 4) x1, y1, x2, y2 in pixels."""
    boxes = label["instances"].bboxes * SIZE
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)


def test_labels_lie_where_pixels_changed(enabled, tail, tmp_path):
    """Every added box is bright inside and of the rare class; outside a small margin around it nothing changed."""
    trainer = trainer_of(tail, tmp_path, rare_paste=1.0)
    added = 0
    for label, before in items(trainer):
        known = len(before["cls"])
        assert (label["cls"][:known] == before["cls"]).all() and (label["cls"][known:] == 1).all()
        assert np.allclose(label["instances"].bboxes[:known], before["instances"].bboxes)
        changed = (label["img"] != before["img"]).any(2)
        for x1, y1, x2, y2 in corners(label)[known:]:
            inside = label["img"][int(np.ceil(y1)) + 1 : int(y2) - 1, int(np.ceil(x1)) + 1 : int(x2) - 1]
            assert inside.mean() > 240
            margin = 0.08 * (x2 - x1) + 3
            changed[
                max(int(y1 - margin), 0) : int(y2 + margin) + 1, max(int(x1 - margin), 0) : int(x2 + margin) + 1
            ] = 0
            added += 1
        assert not changed.any()
    assert added > 5


def test_pasted_objects_cover_little_of_any_box(enabled, tail, tmp_path):
    """What changed inside a box that was there, or was pasted before, is a fifth of it at most."""
    trainer = trainer_of(tail, tmp_path, rare_paste=1.0)
    for label, before in items(trainer):
        changed = (label["img"] != before["img"]).any(2)
        for x1, y1, x2, y2 in corners(before).round().astype(int):
            assert changed[y1:y2, x1:x2].mean() <= LARGEST_COVER + 0.02


def test_pasted_shares_match_the_table(enabled, tail, tmp_path):
    """Over some epochs, rare boxes per image; a few crops find no place or are the image's own."""
    trainer = trainer_of(tail, tmp_path, rare_paste=1.0)
    pasted = trainer.train_loader.dataset.rare_images.pasting.chances[1] * 2 * 40
    counted = np.mean(
        [sum(len(label["cls"]) - len(before["cls"]) for label, before in items(trainer, epoch)) for epoch in range(8)]
    )
    assert 0.75 * pasted < counted < 1.15 * pasted


def test_with_outlines_the_mask_is_pasted_and_the_polygon_added(enabled, outlines, tmp_path):
    """One polygon for each box, with the box as its bounds; training's masks have the objects."""
    trainer = trainer_of(outlines, tmp_path, "yolo11n-seg.yaml", rare_paste=1.0)
    added = 0
    for label, before in items(trainer):
        segments = label["instances"].segments
        assert len(segments) == len(label["cls"]) == len(label["instances"].bboxes)
        for polygon, box in list(zip(segments * SIZE, corners(label), strict=True))[len(before["cls"]) :]:
            assert np.allclose([*polygon.min(0), *polygon.max(0)], box, atol=0.6)
            mask = cv2.fillPoly(np.zeros((SIZE, SIZE), np.uint8), [polygon.round().astype(np.int32)], 1)
            inner = cv2.erode(mask, np.ones((5, 5), np.uint8)) > 0
            assert label["img"][inner].mean() > 240
            added += 1
    assert added > 5
    batch = next(epochs_of(trainer, [0]))[0]
    assert batch["masks"].max() > 0 and len(batch["cls"]) == len(batch["bboxes"])


def test_a_long_crop_of_a_common_image_is_from_another_image(enabled, tail, tmp_path):
    """An image is never given its own objects a second time, and the cached original stays as it was."""
    trainer = trainer_of(tail, tmp_path, rare_paste=1.0, cache="ram")
    dataset = trainer.train_loader.dataset
    before = [dataset.load_image(index)[0].copy() for index in range(len(dataset))]
    list(epochs_of(trainer, [0]))
    assert all((dataset.load_image(index)[0] == image).all() for index, image in enumerate(before))


def test_the_validation_set_is_untouched(enabled, tail, tmp_path):
    """It holds nothing of this plugin, and its loader keeps its own sampler."""
    from yolo_focal.ultra.sampling.draws import EpochBatches

    trainer = trainer_of(tail, tmp_path, rare_paste=1.0, rare_sampling="auto")
    assert not hasattr(trainer.test_loader.dataset, "rare_images")
    assert not isinstance(trainer.test_loader.batch_sampler, EpochBatches)
    assert isinstance(trainer.train_loader.batch_sampler, EpochBatches)


def fingerprint(batches):
    """The image files of each batch, in order."""
    return [[name.rsplit("/", 1)[-1] for name in batch["im_file"]] for batch in batches]


@pytest.mark.parametrize("cache", [False, "ram", "disk"])
def test_two_loaders_give_the_same_batches_with_and_without_workers(enabled, tail, tmp_path, cache):
    """The images drawn do not depend on the number of workers; without other augmentation neither does any pixel."""
    given = {**PLAIN, "rare_paste": 1.0, "rare_sampling": 0.9, "cache": cache}
    one = list(epochs_of(trainer_of(tail, tmp_path / "a", **given), range(3)))
    other = list(epochs_of(trainer_of(tail, tmp_path / "b", workers=2, **given), range(3)))
    assert [fingerprint(epoch) for epoch in one] == [fingerprint(epoch) for epoch in other]
    assert fingerprint(one[0]) != fingerprint(one[1])
    for first, second in zip(one, other, strict=True):
        for a, b in zip(first, second, strict=True):
            assert (a["img"] == b["img"]).all() and (a["bboxes"] == b["bboxes"]).all() and (a["cls"] == b["cls"]).all()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_that_are_not_forked_draw_and_paste_too(enabled, tail, tmp_path, method):
    """As on Windows, and by default from Python 3.14 on: they import Ultralytics anew, without the plugin."""
    given = {**PLAIN, "rare_paste": 1.0, "rare_sampling": 0.9}
    (one,) = epochs_of(trainer_of(tail, tmp_path / "a", **given), [0])
    trainer = trainer_of(tail, tmp_path / "b", workers=1, **given)
    trainer.train_loader.multiprocessing_context = method
    (other,) = epochs_of(trainer, [0])
    trainer.train_loader.close()
    for a, b in zip(one, other, strict=True):
        assert (a["img"] == b["img"]).all() and (a["bboxes"] == b["bboxes"]).all() and (a["cls"] == b["cls"]).all()


def test_a_resumed_run_sees_what_an_uninterrupted_one_sees(enabled, tail, tmp_path):
    """Epochs 2 and 3 of a loader that begins there, pixel by pixel, with workers that fetch ahead."""
    given = {**PLAIN, "rare_paste": 1.0, "rare_sampling": 0.9, "workers": 2}
    whole = list(epochs_of(trainer_of(tail, tmp_path / "a", **given), range(4)))
    rest = list(epochs_of(trainer_of(tail, tmp_path / "b", **given), [2, 3]))
    for first, second in zip(whole[2:], rest, strict=True):
        assert fingerprint(first) == fingerprint(second)
        assert all((a["img"] == b["img"]).all() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("cache", [False, "ram"])
def test_tiles_of_a_mosaic_are_drawn_like_its_first_image(enabled, tail, tmp_path, monkeypatch, cache):
    """Rare images come as often in the tiles as among the items, wherever images are kept."""
    trainer = trainer_of(tail, tmp_path, rare_sampling=1.0, mosaic=1.0, cache=cache)
    dataset, seen = trainer.train_loader.dataset, []
    original = type(dataset).load_image
    monkeypatch.setattr(type(dataset), "load_image", lambda self, i: seen.append(i) or original(self, i))
    list(epochs_of(trainer, range(10)))
    assert len(seen) == 4 * 40 * 10
    factors = dataset.rare_images.draws.factors
    rare = factors == factors.max()
    assert rare.sum() == 5
    assert np.isin(seen, np.flatnonzero(rare)).mean() == pytest.approx(factors[rare].sum() / factors.sum(), rel=0.1)


def test_pasting_ends_with_mosaic_and_both_at_the_stop(enabled, tail, tmp_path):
    """The last close_mosaic epochs have no pasted object; after rare_stop each image comes once."""
    given = {**PLAIN, "rare_paste": 1.0, "rare_sampling": 0.9}
    sees = [
        sum(len(batch["cls"]) for batch in epoch)
        for epoch in epochs_of(trainer_of(tail, tmp_path, close_mosaic=2, **given), range(4))
    ]
    assert min(sees[:2]) > max(sees[2:])
    trainer = trainer_of(tail, tmp_path, rare_stop=0.5, **given)
    files = [sorted(name for names in fingerprint(epoch) for name in names) for epoch in epochs_of(trainer, range(4))]
    assert files[2] == files[3] == [f"{index:03}.png" for index in range(40)] and len(set(files[0])) < 40


def test_the_settings_used_are_those_of_the_arguments(enabled, tail, tmp_path):
    """The trainer's arguments keep all four keys; without them none is there."""
    trainer = trainer_of(tail, tmp_path, rare_sampling="auto")
    assert read_rare_config(vars(trainer.args)).sampling == "auto"
    off = trainer_of(tail, tmp_path, rare_sampling=0)
    assert not any(name.startswith("rare_") for name in vars(off.args))
    assert not hasattr(off.train_loader.dataset, "rare_images")


def test_classification_draws_images_of_rare_classes_more_often(enabled, tmp_path):
    """A sampler is the whole story there."""
    from ultralytics.models.yolo.classify import ClassificationTrainer

    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for name, number in (("common", 30), ("seldom", 6), ("rare", 3)):
            (tmp_path / "set" / split / name).mkdir(parents=True)
            for index in range(number):
                pixels = generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                cv2.imwrite(str(tmp_path / "set" / split / name / f"{index}.png"), pixels)
    overrides = {"model": "yolo11n-cls.yaml", "data": str(tmp_path / "set"), "imgsz": 32, "batch": 8, "epochs": 2}
    trainer = ClassificationTrainer(
        overrides={**overrides, "plots": False, "val": False, "project": str(tmp_path), "rare_sampling": "auto"}
    )
    trainer._setup_train()
    rare = list(trainer.data["names"].values()).index("rare")
    seen = [int((batch["cls"] == rare).sum()) for epoch in epochs_of(trainer, range(2)) for batch in epoch]
    assert 3 * 2 * 1.2 <= sum(seen) <= 3 * 2 * 1.6
