"""The convert command, from an original file to a checkpoint that stock Ultralytics code uses."""

import copy
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import yolo_focal
from tests.commands.original_format import write_original
from yolo_focal.cli import main
from yolo_focal.detector.checkpoint import read_original


@pytest.fixture(scope="module")
def original(shared):
    """The genuine YOLOv5n checkpoint."""
    return shared / "weights" / "yolov5n.pt"


@pytest.fixture(scope="module")
def converted(original, tmp_path_factory):
    """What the command makes of it."""
    out = tmp_path_factory.mktemp("convert") / "yolov5n-anchor.pt"
    assert main(["convert", f"weights={original}", f"out={out}"]) == 0
    yolo_focal.disable()
    return out


def test_weights_names_and_anchors_arrive_unchanged(original, converted):
    """Every tensor bit for bit, the names in order, the anchors as plain numbers."""
    from ultralytics import YOLO

    source, model = read_original(original), YOLO(converted).model
    found = model.state_dict()
    assert found.keys() == source.state.keys()
    assert all(torch.equal(found[name].float(), source.state[name].float()) for name in found)
    assert tuple(model.names.values()) == source.names
    assert model.model[-1].anchor_pixels == source.anchors and model.yaml["anchors"][0] == [10, 13, 16, 30, 33, 23]
    assert model.stride.tolist() == list(source.strides)


def detections(model, image, imgsz):
    """Multi-label detections of one image, letterboxed to a multiple of 32, as xyxy in its own pixels."""
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils import nms, ops

    boxed = LetterBox((imgsz, imgsz), auto=True, stride=32)(image=image)
    tensor = torch.from_numpy(np.ascontiguousarray(boxed[..., ::-1].transpose(2, 0, 1)))[None].float() / 255
    with torch.no_grad():
        found = nms.non_max_suppression(model(tensor), 0.001, 0.6, multi_label=True, max_det=300)[0]
    found[:, :4] = ops.scale_boxes(tensor.shape[2:], found[:, :4], image.shape)
    return found.numpy()


def mean_average_precision(model, folder, imgsz):
    """The mAP50-95 and mAP50 of pycocotools on the val2017 images of `folder`, whose labels are YOLO text files."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images, annotations, results = [], [], []
    for number, file in enumerate(sorted((folder / "images" / "val2017").glob("*.jpg"))):
        image = cv2.imread(str(file))
        height, width = image.shape[:2]
        images.append({"id": number, "width": width, "height": height})
        labels = folder / "labels" / "val2017" / f"{file.stem}.txt"
        for cls, x, y, w, h in np.loadtxt(labels, ndmin=2) if labels.is_file() else ():
            w, h = w * width, h * height
            box = [x * width - w / 2, y * height - h / 2, w, h]
            annotations.append({"image_id": number, "category_id": int(cls), "bbox": box, "area": w * h, "iscrowd": 0})
        for x0, y0, x1, y1, score, cls in detections(model, image, imgsz):
            box = [x0, y0, x1 - x0, y1 - y0]
            results.append({"image_id": number, "category_id": int(cls), "bbox": box, "score": score})
    truth = COCO()
    categories = [{"id": i, "name": str(i)} for i in range(80)]
    numbered = [{**annotation, "id": i + 1} for i, annotation in enumerate(annotations)]
    truth.dataset = {"images": images, "annotations": numbered, "categories": categories}
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[0], evaluation.stats[1]


@pytest.mark.slow
@pytest.mark.parametrize(("imgsz", "map50_95", "map50"), [(320, 0.296, 0.467), (640, 0.343, 0.529)])
def test_precision_on_coco_is_that_of_the_original(converted, shared, imgsz, map50_95, map50):
    """On 128 images of val2017 the converted checkpoint has the precision known of the original."""
    from ultralytics import YOLO

    model = YOLO(converted).model.float().eval()
    found = mean_average_precision(model, shared / "data" / "coco128", imgsz)
    assert found == pytest.approx((map50_95, map50), abs=0.003)


def test_known_objects_are_found(converted, shared):
    """On a few real images, what the model is sure of is what the labels say."""
    from ultralytics import YOLO

    model = YOLO(converted).model.float().eval()
    folder = shared / "data" / "coco128"
    right = total = 0
    for file in sorted((folder / "images" / "val2017").glob("*.jpg"))[:6]:
        labels = folder / "labels" / "val2017" / f"{file.stem}.txt"
        present = {int(row[0]) for row in np.loadtxt(labels, ndmin=2)} if labels.is_file() else set()
        sure = [int(row[5]) for row in detections(model, cv2.imread(str(file)), 320) if row[4] > 0.6]
        right += sum(cls in present for cls in sure)
        total += len(sure)
    assert total > 5 and right == total


def test_a_fused_original_stays_usable(enabled, original, tmp_path):
    """A checkpoint whose batch normalisation is folded is rebuilt folded, with the same predictions."""
    from dataclasses import replace

    from yolo_focal.ultra.anchor.checkpoint import build_model

    whole = build_model(read_original(original)).float()
    state = {name: value.clone() for name, value in whole.fuse(verbose=False).state_dict().items()}
    rebuilt = build_model(replace(read_original(original), state=state, fused=True)).float()
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rebuilt(image)[0], whole(image)[0])


@pytest.mark.parametrize("width", [0.5, 0.3])
def test_weights_of_another_architecture_are_refused(enabled, original, width):
    """Shapes that do not fit the multiples in the file are named with what was expected."""
    from dataclasses import replace

    from yolo_focal.errors import CheckpointError
    from yolo_focal.ultra.anchor.checkpoint import build_model

    with pytest.raises(CheckpointError, match=r"the weights are not those of YOLOv5 v6.0 with depth 0.33 and width"):
        build_model(replace(read_original(original), width=width))


def words(original, tmp_path, **changes):
    given = {"weights": original, "out": tmp_path / "out.pt", **changes}
    return ["convert", *(f"{name}={value}" for name, value in given.items() if value is not None)]


def test_where_an_original_will_not_do_the_command_to_paste_converts_it(original, tiny_data, tmp_path, capsys):
    """Whatever stands in its path."""
    place = tmp_path / "my weights" / "v5n.pt"
    place.parent.mkdir()
    place.symlink_to(original)
    assert main(["doctor", f"model={place}", f"data={tiny_data}", f"out={tmp_path / 'doctor'}"]) == 2
    command = shlex.split(capsys.readouterr().err.partition("from it: yolo-focal ")[2])
    assert main([*command, f"out={tmp_path / 'v5n-anchor.pt'}"]) == 0


def test_bad_input_is_one_line_exit_code_2_and_nothing_written(original, tmp_path, capsys):
    """Each problem is named with its remedy; no output file appears."""
    (tmp_path / "text.pt").write_text("hello")
    data = tmp_path / "two.yaml"
    data.write_text("train: .\nval: .\nnames: {0: a, 1: b}\n")
    cases = [
        (words(None, tmp_path), "weights= is required"),
        (words(tmp_path / "missing.pt", tmp_path), "missing.pt is not a file"),
        (words(tmp_path / "text.pt", tmp_path), "text.pt is truncated or no torch checkpoint"),
        (words(original, tmp_path, out=tmp_path / "out.onnx"), "must end in .pt"),
        (words(original, tmp_path, out=tmp_path / "my_yolov5n.pt"), "call it my_yolov5n-anchor.pt"),
        (words(original, tmp_path, out=original), "has a name that Ultralytics replaces"),
        (words(original, tmp_path, data="typo.yaml"), "data=typo.yaml does not exist; give a data YAML"),
        (words(original, tmp_path, data=data), "the checkpoint has 80 classes, but"),
        (
            words(original, tmp_path, wieghts=original),
            "'wieghts' is not an argument of convert; did you mean 'weights'?",
        ),
    ]
    for command, phrase in cases:
        assert main(command) == 2, command
        error = capsys.readouterr().err
        assert phrase in error and error.count("\n") == 1, error
    assert {path.name for path in tmp_path.iterdir()} == {"text.pt", "two.yaml"}


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("yolov5n6-anchor.yaml", {}),
        ("yolov5s-anchor.yaml", {"root": "DetectionModel", "names": dict}),
        (
            "yolov5n-anchor.yaml",
            {
                "root": "DetectionModel",
                "dtype": torch.float32,
                "baggage": {"best_fitness": np.array([0.5]), "opt": {"save_dir": Path("runs/exp")}, "date": "now"},
            },
        ),
    ],
)
def test_other_scales_levels_and_versions_are_converted(enabled, tmp_path, name, given):
    """P6, the class names of v6.2 and later, and files that training has not stripped give the same boxes as before."""
    from ultralytics import YOLO

    torch.manual_seed(0)
    model = YOLO(name).model
    model.names = {i: f"class {i}" for i in range(80)}
    model = model.half().float().eval() if given.get("dtype") is None else model.eval()
    image = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        expected = model(image)[0]
    write_original(model, tmp_path / "last.pt", **given)
    assert main(["convert", f"weights={tmp_path / 'last.pt'}", f"project={tmp_path / 'runs'}"]) == 0
    found = YOLO(tmp_path / "runs/convert/last-anchor.pt").model
    assert found.names == model.names and found.yaml["scale"] == model.yaml["scale"]
    half = given.get("dtype") == torch.float32  # checkpoints of Ultralytics are stored in half precision
    with torch.no_grad():
        torch.testing.assert_close(found(image)[0], expected, rtol=0.02 if half else 1e-4, atol=0.5 if half else 1e-3)


@pytest.fixture(scope="module")
def untrained():
    """A YOLOv5n of 80 classes; writing it in the original's format changes it, so that each test takes a copy."""
    from ultralytics import YOLO

    yolo_focal.enable()
    model = YOLO("yolov5n-anchor.yaml").model
    model.names = {i: f"class {i}" for i in range(80)}
    yolo_focal.disable()
    return model


def _set_first_weight(value):
    def change(layers):
        layers[0].conv.weight.data[0, 0, 0, 0] = value

    return change


def _expand_first_weight(layers):
    layers[0].conv.weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float16).expand(1 << 40))


def _set_head(name, value):
    return lambda layers: setattr(layers[-1], name, value)


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        ({"multiples": (1e7, 0.25)}, "depth_multiple 1e+07, expected above 0 and at most 4"),
        ({"multiples": (float("nan"), 0.25)}, "depth_multiple nan, expected above 0"),
        ({"multiples": (0.33, -1)}, "width_multiple -1, expected above 0"),
        ({"multiples": (0.33, 1e4)}, "width_multiple 10000, expected above 0"),
        ({"multiples": (0.33, "wide")}, "could not convert string to float"),
        ({"change": _set_first_weight(float("nan"))}, "model.0.conv.weight has numbers that are not finite"),
        ({"change": _set_first_weight(float("inf"))}, "model.0.conv.weight has numbers that are not finite"),
        ({"change": _expand_first_weight}, "is larger than what the file holds of it"),
        ({"change": _set_head("stride", torch.tensor([8.0, 16.0, 1e9]))}, "expected (8.0, 16.0, 32.0)"),
        ({"change": _set_head("stride", torch.tensor([8.0, -16.0, 32.0]))}, "expected (8.0, 16.0, 32.0)"),
        ({"change": lambda layers: layers[-1].anchors.fill_(-1)}, "an anchor that is not between 0 and 10000 pixels"),
        ({"change": lambda layers: layers[-1].anchors.fill_(torch.nan)}, "anchors has numbers that are not finite"),
        ({"change": _set_head("nc", 10**9)}, "80 class names for 1000000000 classes"),
    ],
)
def test_forged_numbers_are_refused_before_a_model_is_built(untrained, tmp_path, capsys, forged, reason):
    """In one line, at once, with nothing written."""
    write_original(copy.deepcopy(untrained), tmp_path / "forged.pt", **forged)
    assert main(["convert", f"weights={tmp_path / 'forged.pt'}"]) == 2
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["forged.pt"]


def test_a_tree_of_modules_without_end_is_refused(untrained, tmp_path, capsys):
    """A file can hold a module that contains itself; reading it ends in one line."""
    model = copy.deepcopy(untrained)
    write_original(model, tmp_path / "endless.pt", change=lambda layers: layers[9].add_module("again", layers[9]))
    assert main(["convert", f"weights={tmp_path / 'endless.pt'}"]) == 2
    assert "modules nested deeper than a YOLOv5 model" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True])
def test_onnx_on_real_images(converted, shared, tmp_path, dynamic):
    """On 8 images of COCO all scores agree to 1e-4 and all boxes that validation looks at to 1e-3 pixels with torch."""
    onnxruntime = pytest.importorskip("onnxruntime")
    from ultralytics import YOLO
    from ultralytics.data.augment import LetterBox

    source = tmp_path / "m.pt"
    source.write_bytes(converted.read_bytes())
    file = YOLO(source).export(format="onnx", imgsz=320, dynamic=dynamic, verbose=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    model = YOLO(source).model.float().eval().fuse(verbose=False)
    boxes = scores = every = 0.0
    for image in sorted((shared / "data" / "coco128" / "images" / "val2017").glob("*.jpg"))[:8]:
        boxed = LetterBox((320, 320), auto=dynamic, stride=32)(image=cv2.imread(str(image)))
        tensor = torch.from_numpy(np.ascontiguousarray(boxed[..., ::-1].transpose(2, 0, 1)))[None].float() / 255
        (found,) = session.run(None, {session.get_inputs()[0].name: tensor.numpy()})
        with torch.no_grad():
            expected = model(tensor)[0].numpy()
        difference = np.abs(found - expected)
        candidates = expected[0, 4:].max(0) > 0.001
        boxes, scores = max(boxes, difference[0, :4, candidates].max()), max(scores, difference[:, 4:].max())
        every = max(every, difference[:, :4].max())
    print(f"dynamic={dynamic}: boxes {boxes:.1e} px (below the threshold too {every:.1e}), scores {scores:.1e}")
    assert boxes <= 1e-3 and scores <= 1e-4
