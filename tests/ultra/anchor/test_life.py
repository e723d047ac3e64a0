"""The whole life of an anchor detector on Ultralytics' engine: train, resume, finetune, validate, track, export."""

import cv2
import numpy as np
import pytest
import torch
import yaml

import yolo_focal
from tests.helpers import run_python
from tests.ultra.helpers import Interrupted, interrupt_after
from yolo_focal.errors import UnsupportedModelError
from yolo_focal.resources import cfg_file

SMALL = {"imgsz": 64, "batch": 4, "workers": 0, "plots": False, "device": "cpu", "exist_ok": True, "verbose": False}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Eight images of 96 x 64 pixels with up to three bright rectangles of two classes, two of them with none."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        for number in range(8):
            image = random.integers(0, 60, (64, 96, 3), dtype=np.uint8)
            rows = []
            for cls in (0, 1, 0)[: number % 4]:
                w, h = random.integers(16, 40, 2)
                x, y = random.integers(0, 96 - w), random.integers(0, 64 - h)
                image[y : y + h, x : x + w] = (255, 128, 0) if cls else (0, 128, 255)
                rows.append(f"{cls} {(x + w / 2) / 96} {(y + h / 2) / 64} {w / 96} {h / 64}")
            cv2.imwrite(str(folder / "images" / split / f"{number}.png"), image)
            (folder / "labels" / split / f"{number}.txt").write_text("\n".join(rows))
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump({"train": "images/train", "val": "images/val", "names": {0: "a", 1: "b"}}))
    return path


@pytest.fixture(scope="module")
def anchor_run(data, tmp_path_factory):
    """The folder of a run of two epochs with focal objectness and a gain of its own."""
    from ultralytics import YOLO

    yolo_focal.enable()
    project = tmp_path_factory.mktemp("runs")
    given = {**SMALL, "data": str(data), "epochs": 2, "save_period": 1, "fl_gamma": 1.5, "fl_scope": "obj", "obj": 2.0}
    YOLO("yolov5n-anchor.yaml").train(**given, project=str(project), name="first")
    yolo_focal.disable()
    return project / "first"


def test_training_writes_what_it_trained_with(anchor_run):
    """The three losses in results.csv; the settings in args.yaml, those at their defaults left out."""
    header = (anchor_run / "results.csv").read_text().splitlines()[0].replace(" ", "")
    assert {"train/box_loss", "train/obj_loss", "train/cls_loss", "val/obj_loss"} <= set(header.split(","))
    kept = yaml.safe_load((anchor_run / "args.yaml").read_text())
    assert (kept["obj"], kept["fl_scope"], kept["fl_gamma"]) == (2.0, "obj", 1.5)
    assert "anchor_t" not in kept


def test_a_checkpoint_has_no_criterion_and_no_anchors_in_its_state(anchor_run):
    """Plain weights; the anchors stand in the YAML as numbers."""
    checkpoint = torch.load(anchor_run / "weights" / "last.pt", weights_only=False)
    model = checkpoint["model"]
    assert not [name for name in model.state_dict() if "criterion" in name or "anchors" in name]
    assert all(isinstance(size, int | float) for row in model.yaml["anchors"] for size in row)


def test_an_interrupted_run_is_resumed_with_its_settings(enabled, anchor_run, data, tmp_path):
    """From the first epoch's checkpoint the second is trained with the same losses and gains."""
    from ultralytics import YOLO

    model = YOLO("yolov5n-anchor.yaml")
    model.add_callback("on_train_epoch_start", interrupt_after(1))
    given = {**SMALL, "data": str(data), "epochs": 3, "obj": 2.0, "fl_gamma": 1.0, "project": str(tmp_path)}
    with pytest.raises(Interrupted):
        model.train(**given, name="cut")
    resumed = YOLO(tmp_path / "cut" / "weights" / "last.pt")
    resumed.train(resume=True)
    args = resumed.trainer.args
    assert resumed.trainer.start_epoch == 1 and (args.obj, args.fl_gamma) == (2.0, 1.0)
    assert resumed.trainer.model.criterion.config.obj == 2.0
    assert len((tmp_path / "cut" / "results.csv").read_text().splitlines()) == 4


def test_finetuning_starts_from_the_weights_and_anchors(enabled, anchor_run, data, tmp_path):
    """A new run on the checkpoint takes over every tensor, the anchors too; new arguments count."""
    from ultralytics import YOLO

    model = YOLO(anchor_run / "weights" / "last.pt")
    weights = model.model.state_dict()["model.0.conv.weight"].clone()
    model.train(**SMALL, data=str(data), epochs=1, lr0=0.0, optimizer="SGD", project=str(tmp_path), obj=3.0)
    found = model.trainer.model
    assert found.criterion.config.obj == 3.0 and found.criterion.focal is None
    torch.testing.assert_close(found.state_dict()["model.0.conv.weight"].float(), weights.float(), atol=0.02, rtol=0)


def test_one_class_and_empty_images_train(enabled, data, tmp_path):
    """single_cls leaves no class loss; images without objects are background."""
    from ultralytics import YOLO

    model = YOLO("yolov5n-anchor.yaml")
    model.train(**SMALL, data=str(data), epochs=1, single_cls=True, project=str(tmp_path), fl_gamma=1.0)
    assert model.trainer.model.model[-1].nc == 1 and model.trainer.tloss["cls_loss"] == 0


def test_class_weights_of_ultralytics_reach_the_criterion(enabled, data, tmp_path):
    """Its cls_pw weighs the classes by inverse frequency, in training and in the validation loss."""
    from ultralytics import YOLO

    model = YOLO("yolov5n-anchor.yaml")
    model.train(**SMALL, data=str(data), epochs=1, cls_pw=1.0, project=str(tmp_path))
    weight = model.trainer.model.criterion.classes.weight
    assert weight is not None and weight[1] > weight[0]
    assert torch.equal(model.trainer.ema.ema.criterion.classes.weight, weight)


def test_validation_and_prediction(enabled, anchor_run, data):
    """Standalone validation and prediction run on the checkpoint."""
    from ultralytics import YOLO

    model = YOLO(anchor_run / "weights" / "last.pt")
    metrics = model.val(**SMALL, data=str(data), project=str(anchor_run.parent), name="val")
    assert 0 <= metrics.box.map <= 1
    results = model.predict(data.parent / "images" / "val", imgsz=64, conf=0.0001, verbose=False)
    assert len(results) == 8 and sum(len(result.boxes) for result in results) > 0
    assert model.predict(data.parent / "images" / "val" / "1.png", augment=True, imgsz=64, verbose=False)


@pytest.mark.parametrize("with_reid", [False, True])
def test_tracking(enabled, anchor_run, data, tmp_path, with_reid):
    """BoT-SORT tracks, also with appearance features taken from the head's input, where three anchors share a cell."""
    from ultralytics import YOLO
    from ultralytics.utils import ROOT

    pytest.importorskip("lap")
    tracker = yaml.safe_load((ROOT / "cfg" / "trackers" / "botsort.yaml").read_text())
    tracker.update(with_reid=with_reid, model="auto", gmc_method="none", new_track_thresh=0.0, track_high_thresh=0.0)
    (tmp_path / "tracker.yaml").write_text(yaml.safe_dump(tracker))
    model = YOLO(anchor_run / "weights" / "last.pt")
    for _ in range(2):
        result = model.track(
            data.parent / "images" / "val" / "2.png",
            tracker=str(tmp_path / "tracker.yaml"),
            persist=True,
            conf=0.0,
            imgsz=64,
            verbose=False,
        )[0]
    assert result.boxes is not None


def test_features_of_a_detection_are_those_of_its_cell(enabled):
    """Every anchor of a cell has the cell's features, on every level."""
    from ultralytics.models.yolo.detect import DetectionPredictor

    maps = [torch.arange(4.0).view(1, 1, 2, 2), 10 + torch.zeros(1, 1, 1, 1)]
    found = DetectionPredictor.get_obj_feats(maps, [torch.tensor([1, 4, 5 + 1, 10 + 4])])
    assert found[0].flatten().tolist() == [1.0, 10.0, 1.0, 10.0]


@pytest.mark.parametrize("given", [{}, {"dynamic": True}, {"nms": True}])
def test_onnx_gives_the_boxes_and_scores_of_torch(enabled, anchor_run, tmp_path, given):
    """Exported without any part of this package, at the exported size and, dynamic, at another."""
    onnxruntime = pytest.importorskip("onnxruntime")
    from ultralytics import YOLO

    source = tmp_path / "m.pt"
    source.write_bytes((anchor_run / "weights" / "last.pt").read_bytes())
    file = YOLO(source).export(format="onnx", imgsz=64, verbose=False, conf=0.0001, **given)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    model = YOLO(source).model.float().eval().fuse(verbose=False)
    for height, width in ((64, 64), (96, 64)) if given.get("dynamic") else ((64, 64),):
        image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))
        (found,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        with torch.no_grad():
            expected = model(image)[0].numpy()
        if given.get("nms"):
            assert found.shape[-1] == 6 and (found[..., :4] < 400).all()
            best = expected[0, 4:].max()
            assert found[0, :, 4].max() == pytest.approx(best, abs=1e-4)
        else:
            np.testing.assert_allclose(found[:, :4], expected[:, :4], atol=1e-3)
            np.testing.assert_allclose(found[:, 4:], expected[:, 4:], atol=1e-4)


def test_torchscript_runs_without_the_package(enabled, anchor_run, tmp_path):
    """The traced file gives the same numbers in an interpreter that cannot import yolo_focal."""
    from ultralytics import YOLO

    source = tmp_path / "m.pt"
    source.write_bytes((anchor_run / "weights" / "last.pt").read_bytes())
    file = YOLO(source).export(format="torchscript", imgsz=64, verbose=False)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = YOLO(source).model.float().eval().fuse(verbose=False)(image)[0]
    code = (
        "import sys; sys.modules['yolo_focal'] = None; import torch;"
        f"m = torch.jit.load({str(file)!r});"
        "x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1));"
        f"torch.save(m(x), {str(tmp_path / 'y.pt')!r})"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    torch.testing.assert_close(torch.load(tmp_path / "y.pt"), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["imx", "edgetpu", "hailo", "edgetp"])
def test_formats_that_would_decode_wrongly_are_refused(enabled, anchor_run, name):
    """Their exporters rewrite or cut Ultralytics' own head; the misspelt name means the same format."""
    from ultralytics import YOLO

    with pytest.raises(UnsupportedModelError, match=rf"format={name} cannot be exported from an anchor detector: its"):
        YOLO(anchor_run / "weights" / "last.pt").export(format=name)


def test_distillation_is_refused_for_student_and_teacher(enabled, anchor_run, data, tmp_path):
    """The loss reads a box distribution that this head does not have."""
    from ultralytics import YOLO

    checkpoint = str(anchor_run / "weights" / "last.pt")
    given = {**SMALL, "data": str(data), "epochs": 1, "project": str(tmp_path)}
    for model, teacher in (("yolov5n-anchor.yaml", checkpoint), ("yolov8n.yaml", checkpoint)):
        with pytest.raises(UnsupportedModelError, match="distill_model= cannot act on an anchor detector"):
            YOLO(model).train(**given, distill_model=teacher)


@pytest.mark.slow
def test_a_checkpoint_brings_the_plugin_along(anchor_run, data, tmp_path):
    """In a process that never heard of the package, plain Ultralytics validates and finetunes the checkpoint."""
    code = (
        "from ultralytics import YOLO;"
        f"m = YOLO({str(anchor_run / 'weights' / 'last.pt')!r});"
        f"m.train(data={str(data)!r}, epochs=1, imgsz=64, batch=4, workers=0, plots=False, project={str(tmp_path)!r});"
        "print(type(m.model.model[-1]).__name__)"
    )
    done = run_python(code)
    assert done.returncode == 0 and done.stdout.strip().endswith("AnchorDetect"), done.stderr[-2000:]


@pytest.mark.slow
def test_a_restricted_load_works_with_the_plugin_enabled(anchor_run):
    """ULTRALYTICS_SAFE_LOAD=1 builds the head once enable() has vouched for it, and refuses it before."""
    path = str(anchor_run / "weights" / "last.pt")
    load = f"from ultralytics import YOLO; print(type(YOLO({path!r}).model.model[-1]).__name__)"
    done = run_python(f"import yolo_focal; yolo_focal.enable(); {load}", ULTRALYTICS_SAFE_LOAD="1")
    assert done.returncode == 0 and "AnchorDetect" in done.stdout, done.stderr[-2000:]
    refused = run_python(load, ULTRALYTICS_SAFE_LOAD="1")
    assert refused.returncode != 0 and "references types outside the supported" in refused.stderr


@pytest.mark.slow
def test_without_the_package_the_error_names_it(anchor_run):
    """Where yolo_focal is not installed, loading stops with its name."""
    path = str(anchor_run / "weights" / "last.pt")
    done = run_python(f"import sys; sys.modules['yolo_focal'] = None; from ultralytics import YOLO; YOLO({path!r})")
    assert done.returncode != 0 and "yolo_focal" in done.stderr.splitlines()[-1]


def test_poor_anchors_are_replaced_before_training_and_kept(enabled, data, tmp_path):
    """Anchors that reach no object are replaced in head, averaged model and YAML; autoanchor=False leaves them."""
    from ultralytics import YOLO

    architecture = yaml.safe_load(cfg_file("models", "yolov5-anchor").read_text())
    architecture["anchors"] = [[900, 900] * 3] * 3
    path = tmp_path / "yolov5n-poor.yaml"
    path.write_text(yaml.safe_dump(architecture))
    given = {**SMALL, "data": str(data), "epochs": 1, "project": str(tmp_path)}
    model = YOLO(path)
    model.train(**given, name="auto")
    anchors = model.trainer.model.yaml["anchors"]
    assert max(size for row in anchors for size in row) < 100
    flat = [[size for pair in level for size in pair] for level in model.trainer.model.model[-1].anchor_pixels]
    assert flat == anchors
    assert model.trainer.ema.ema.model[-1].anchor_pixels == model.trainer.model.model[-1].anchor_pixels
    assert YOLO(tmp_path / "auto" / "weights" / "last.pt").model.yaml["anchors"] == anchors
    kept = YOLO(path)
    kept.train(**given, name="kept", autoanchor=False)
    assert kept.trainer.model.yaml["anchors"] == architecture["anchors"]
    rectangular = YOLO(path)  # upstream takes the shapes of the images out of the labels
    rectangular.train(**given, name="rectangular", rect=True)
    assert max(size for row in rectangular.trainer.model.yaml["anchors"] for size in row) < 100


CLASSIC = {
    "lr0": 0.02,
    "box": 0.07,
    "cls": 0.6,
    "cls_pw": 0.9,
    "obj": 1.2,
    "iou_t": 0.2,
    "anchor_t": 3.5,
    "fl_gamma": 0.5,
}


def test_a_classic_hyp_file_is_translated_when_training(enabled, data, tmp_path):
    """cfg= takes YOLOv5's own file for an anchor detector; what the call says itself goes before it."""
    from ultralytics import YOLO

    file = tmp_path / "hyp.mine.yaml"
    file.write_text(yaml.safe_dump(CLASSIC))
    model = YOLO("yolov5n-anchor.yaml")
    model.train(**SMALL, data=str(data), epochs=1, cfg=str(file), obj=3.0, project=str(tmp_path))
    args, criterion = model.trainer.args, model.trainer.model.criterion
    assert (args.optimizer, args.lr0, args.close_mosaic, args.cls_pw) == ("SGD", 0.02, 0, 0.0)
    config = criterion.config
    assert (config.box, config.cls, config.obj, config.cls_pos_weight, config.anchor_t) == (0.07, 0.6, 3.0, 0.9, 3.5)
    assert criterion.focal.gamma == 0.5
    again = YOLO("yolov5n-anchor.yaml")  # its args.yaml has the same settings in today's words
    again.train(cfg=str(model.trainer.save_dir / "args.yaml"), data=str(data), save_dir=None, name="again")
    assert again.trainer.save_dir.name == "again"
    assert again.trainer.model.criterion.config == config and again.trainer.args.cls_pw == 0.0


def test_a_classic_hyp_file_is_refused_for_other_models(enabled, data, tmp_path, capsys):
    """Its gains would ruin another loss; Python and the command line say so in one line."""
    from ultralytics import YOLO

    from yolo_focal.cli import main

    file = tmp_path / "hyp.mine.yaml"
    file.write_text(yaml.safe_dump(CLASSIC))
    with pytest.raises(UnsupportedModelError, match="is a YOLOv5 file: its gains are those of an anchor detector's"):
        YOLO("yolov8n.yaml").train(**SMALL, data=str(data), cfg=str(file))
    assert main(["train", "model=yolov8n.yaml", f"data={data}", f"cfg={file}"]) == 2
    assert "take cfg=yolov5-classic for other models" in capsys.readouterr().err
