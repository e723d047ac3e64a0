"""Trainings with rare_sampling and rare_paste from every door, and everything that is refused before they start."""

import subprocess
import sys

import pytest
import yaml

from tests.ultra.helpers import Interrupted, arguments, interrupt_after, train_quickly
from tests.ultra.sampling.test_training_images import SIZE, write_tail
from yolo_focal.arguments.rare import RARE_KEYS
from yolo_focal.errors import ConfigError, UnsupportedModelError


@pytest.fixture(scope="module")
def tail(tmp_path_factory):
    """A long tail of boxes in two classes."""
    return write_tail(tmp_path_factory.mktemp("tail"), train=16)


def test_off_leaves_no_trace(enabled, tail, tmp_path):
    """args.yaml and the arguments in the checkpoint of a run without them are those of stock Ultralytics."""
    import torch

    trainer = train_quickly(tail, tmp_path, rare_sampling=0, rare_paste=0.0)
    saved = yaml.safe_load((trainer.save_dir / "args.yaml").read_text())
    kept = torch.load(trainer.last, weights_only=False)["train_args"]
    assert not [name for name in [*saved, *kept, *vars(trainer.args)] if name.startswith("rare_")]


def test_on_is_saved_and_told(enabled, tail, tmp_path, caplog):
    """All four keys in args.yaml and in the checkpoint, the table in the log, no focal loss switched on."""
    import torch

    with caplog.at_level("INFO", "ultralytics"):
        trainer = train_quickly(tail, tmp_path, rare_sampling="auto", rare_paste=1.0, epochs=2)
    saved = yaml.safe_load((trainer.save_dir / "args.yaml").read_text())
    kept = torch.load(trainer.last, weights_only=False)["train_args"]
    for found in (saved, kept):
        assert {name: found[name] for name in RARE_KEYS} == {
            "rare_sampling": "auto", "rare_paste": 1.0, "rare_power": 0.5, "rare_stop": 0.0
        }  # fmt: skip
        assert "focal" not in found
    assert caplog.text.count("rare_sampling=auto: what an epoch is expected to show") == 1  # without what cannot act
    (warning,) = [each.getMessage() for each in caplog.records if "rare_paste=1 cannot act" in each.getMessage()]
    assert "close_mosaic=10 epochs are without it, and there are epochs=2 in all; give close_mosaic=0" in warning


@pytest.mark.parametrize(("closed", "stop", "said"), [(1, 0.0, True), (0, 0.0, False), (1, 0.4, False)])
def test_a_training_says_which_epochs_are_without_pasting(enabled, tail, tmp_path, caplog, closed, stop, said):
    """Where the last ones without mosaic are; not where rare_stop, which was asked for, leaves out more."""
    given = {"rare_paste": 1.0, "rare_stop": stop, "epochs": 5, "close_mosaic": closed}
    begun = {"on_train_epoch_start": interrupt_after(0)}  # it is said before the first batch
    with caplog.at_level("INFO", "ultralytics"), pytest.raises(Interrupted):
        train_quickly(tail, tmp_path, **given, imgsz=32, callbacks=begun)
    line = "rare_paste=1 acts in the first 4 of 5 epochs: the last close_mosaic=1 are without it"
    assert caplog.text.count(line) == said


def test_beside_a_focal_loss(enabled, tail, tmp_path):
    """Both sets of keys act in one training, and an interrupted one goes on with both, at its own epoch's images."""
    from ultralytics import YOLO

    with pytest.raises(Interrupted):
        train_quickly(
            tail,
            tmp_path,
            rare_paste=1.0,
            fl_gamma=1.0,
            epochs=3,
            close_mosaic=0,
            callbacks={"on_train_epoch_start": interrupt_after(1)},
        )
    model = YOLO(str(tmp_path / "run" / "weights" / "last.pt"))
    begun = []
    model.add_callback("on_train_batch_start", lambda trainer: begun.append(trainer.train_loader.batch_sampler.epoch))
    model.train(resume=True)
    assert begun[0] == 1 and begun[-1] == 2
    assert model.trainer.args.rare_paste == 1.0 and model.trainer.args.focal is True


def test_from_the_command_line_and_from_a_file(tail, tmp_path):
    """`rare_sampling=auto` as a word; the same in cfg=."""
    file = tmp_path / "rare.yaml"
    file.write_text("rare_sampling: auto\nrare_paste: 0.5\n", encoding="utf-8")
    for name, words in (("words", ["rare_sampling=auto", "rare_paste=0.5"]), ("file", [f"cfg={file}"])):
        command = [sys.executable, "-m", "yolo_focal", "train", "model=yolo11n.yaml", f"data={tail}", f"imgsz={SIZE}",
                   "epochs=1", "close_mosaic=0", "batch=8", f"project={tmp_path}", f"name={name}", "plots=False",
                   *words]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-2000:]
        assert "rare_sampling=auto rare_paste=0.5: what an epoch" in done.stdout + done.stderr
        assert yaml.safe_load((tmp_path / name / "args.yaml").read_text())["rare_sampling"] == "auto"


@pytest.mark.parametrize("mode", ["val", "predict", "track", "export"])
def test_refused_where_nothing_is_trained(enabled, mode):
    """It could not act."""
    with pytest.raises(ConfigError, match=f"rare_paste cannot act in mode={mode}"):
        arguments(mode=mode, rare_paste=0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rare_sampling": -1}, "rare_sampling must be 0"),
        ({"rare_paste": 1.5}, "rare_paste must be a share"),
        ({"rare_pase": 0.5}, "'rare_pase' is not a training argument; did you mean 'rare_paste'"),
        ({"rare_power": 0.3}, "rare_power=0.3 cannot act"),
        ({"rare_paste": 0.5, "epochs": 10}, "close_mosaic=10 .* epochs=10 in all; give close_mosaic=0"),
        ({"rare_paste": 0.5, "epochs": 20, "close_mosaic": 20}, "rare_paste=0.5 cannot act: .*close_mosaic=20"),
        ({"rare_paste": 0.5, "rect": True}, "rare_paste=0.5 cannot act with rect=True"),
        ({"rare_paste": 0.5, "rare_stop": 0.2, "time": 1}, "rare_stop=0.2 cannot act with time=1"),
        ({"rare_sampling": 1, "rare_stop": 0.2, "epochs": 4}, "rare_stop=0.2 cannot act: it is less than one of epoch"),
        (
            {"rare_paste": 0.5, "rare_stop": 0.2, "epochs": 20},
            "rare_stop=0.2 cannot act: the last close_mosaic=10 of epochs=20 are without rare_paste in any case",
        ),
        (
            {"rare_paste": 0.5, "epochs": 20, "single_cls": True},
            "rare_paste=0.5 cannot act with one class: nothing is rarer",
        ),
        ({"rare_sampling": "auto", "classes": [1]}, "rare_sampling=auto cannot act with one class: nothing is rarer"),
        ({"rare_sampling": "auto", "classes": 0}, "rare_sampling=auto cannot act with one class: nothing is rarer"),
    ],
)
def test_refused_before_a_run_folder_exists(enabled, tail, tmp_path, given, message):
    """One line, nothing written."""
    with pytest.raises(ConfigError, match=message) as caught:
        train_quickly(tail, tmp_path, **given)
    assert len(str(caught.value).splitlines()) == 1 and not list(tmp_path.iterdir())


def test_refused_without_labels(enabled, objectless_data, tmp_path):
    """Before Ultralytics begins."""
    with pytest.raises(ConfigError, match=r"rare_sampling=auto cannot act: the training images of data=.* no labels"):
        train_quickly(objectless_data, tmp_path, rare_sampling="auto")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", ["yolo11n-pose.yaml", "yolo11n-obb.yaml"])
def test_pasting_is_refused_for_keypoints_and_rotated_boxes(enabled, tail, tmp_path, model):
    """By name, with what can act."""
    with pytest.raises(UnsupportedModelError, match=r"rare_paste=0.5 cannot act on a (pose|obb) model.*rare_sampling"):
        train_quickly(tail, tmp_path, model, rare_paste=0.5)
    assert not list(tmp_path.iterdir())


def test_refused_where_all_classes_are_as_frequent(enabled, tiny_data, tmp_path):
    """Nothing is below the median."""
    with pytest.raises(ConfigError, match="no class has fewer training boxes than the median class"):
        train_quickly(tiny_data, tmp_path, rare_paste=0.5, close_mosaic=0)
