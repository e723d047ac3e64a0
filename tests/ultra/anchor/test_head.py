"""The anchor head inside Ultralytics' models: building, moving, copying, pickling."""

import copy
import io
import math
import pickle
import zipfile

import pytest
import torch

import yolo_focal
from tests.helpers import run_python
from tests.ultra.helpers import batch_of, build
from yolo_focal.errors import ConfigError
from yolo_focal.resources import cfg_file
from yolo_focal.ultra import host

MODEL = "yolov5n-anchor.yaml"


def dictionary(**changes):
    """The architecture as a dictionary with some entries changed."""
    path = cfg_file("models", "yolov5-anchor")
    return {**host.YAML.load(path), "scale": "n", "yaml_file": "mine.yaml", **changes}


def build_dictionary(d):
    return host.DetectionModel(d, verbose=False)


@pytest.mark.parametrize(
    ("name", "millions", "strides"),
    [
        ("yolov5n-anchor.yaml", 1.9, [8, 16, 32]),
        ("yolov5s-anchor.yaml", 7.2, [8, 16, 32]),
        ("yolov5m-anchor.yaml", 21.2, [8, 16, 32]),
        ("yolov5n6-anchor.yaml", 3.2, [8, 16, 32, 64]),
        ("yolov5s-p6-anchor.yaml", 12.6, [8, 16, 32, 64]),
    ],
)
def test_scales_have_the_published_size(enabled, name, millions, strides):
    """Parameters, to the published digit, and strides are those of the original models with 80 classes."""
    model = build(name, nc=80)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == millions
    assert model.stride.tolist() == strides
    assert len(model.model[-1].anchor_pixels) == len(strides)


def test_names_and_indices_are_the_originals(enabled):
    """So that an original checkpoint maps key by key."""
    names = build(MODEL).state_dict().keys()
    assert {"model.0.conv.weight", "model.9.cv2.bn.running_var", "model.24.m.0.weight", "model.24.m.2.bias"} <= names
    assert not [name for name in names if "anchor" in name or "criterion" in name]


def test_biases_start_near_the_truth(enabled):
    """The mean of the fresh biases is YOLOv5's start value: 8 objects an image, 0.6 of a class each."""
    head = build(MODEL, nc=80).model[-1]
    for conv, stride in zip(head.m, (8, 16, 32), strict=True):
        bias = conv.bias.view(3, 85)
        assert bias[:, 4].mean().item() == pytest.approx(math.log(8 / (640 / stride) ** 2), abs=0.2)
        assert bias[:, 5:].mean().item() == pytest.approx(math.log(0.6 / 79.00001), abs=0.2)


def test_outputs_in_training_evaluation_and_export(enabled):
    """Raw maps to learn from; boxes and scores beside them to validate; boxes and scores alone to export."""
    model = build(MODEL)
    images = batch_of()["img"]
    maps = model(images)["maps"]
    assert [tuple(m.shape) for m in maps] == [(2, 3, 8, 8, 8), (2, 3, 8, 4, 4), (2, 3, 8, 2, 2)]
    decoded, raw = model.eval()(images)
    assert decoded.shape == (2, 4 + 3, 3 * (64 + 16 + 4)) and raw.keys() == {"maps", "feats"}
    assert ((decoded[:, 4:] >= 0) & (decoded[:, 4:] <= 1)).all()
    model.model[-1].export = True
    assert torch.equal(model(images), decoded)
    model.model[-1].xyxy = True
    corners = model(images)
    torch.testing.assert_close(corners[:, 2:4] - corners[:, :2], decoded[:, 2:4], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_moved_model_decodes_in_its_own_dtype(enabled, dtype):
    """No cached tensor stays behind when the model changes its type, at any image size."""
    model = build(MODEL).eval()
    before = model(torch.zeros(1, 3, 64, 96))[0]
    after = model.to(dtype)(torch.zeros(1, 3, 64, 96, dtype=dtype))[0]
    assert after.dtype == dtype
    torch.testing.assert_close(after.float(), before, rtol=0.05, atol=0.5)
    assert model(torch.zeros(1, 3, 128, 64, dtype=dtype))[0].shape[-1] == 3 * (128 + 32 + 8)


def test_fusing_changes_no_box_by_more_than_rounding(enabled):
    """Batch normalisation folded into convolutions gives the same predictions."""
    model = build(MODEL).eval()
    images = batch_of()["img"]
    before = model(images)[0]
    torch.testing.assert_close(model.fuse(verbose=False)(images)[0], before, rtol=1e-3, atol=1e-3)


def test_anchors_survive_half_precision_exactly(enabled):
    """They are plain numbers, in the head and in the model's YAML: nothing rounds or averages them."""
    model = build_dictionary(dictionary(anchors=[[10.37, 13.1] * 3, [30.3, 61.7] * 3, [373.217, 326.9] * 3]))
    head = copy.deepcopy(model).half().float().model[-1]
    assert head.anchor_pixels[2][0] == (373.217, 326.9)


def test_unpickling_a_model_enables_the_plugin():
    """A checkpoint with this head can be finetuned where nobody called enable()."""
    yolo_focal.enable()
    pickled = pickle.dumps(build(MODEL).model[-1])
    yolo_focal.disable()
    from ultralytics.utils import DEFAULT_CFG_DICT

    assert "obj" not in DEFAULT_CFG_DICT
    pickle.loads(pickled)
    assert "obj" in DEFAULT_CFG_DICT
    yolo_focal.disable()


def test_copying_a_model_does_not_enable_the_plugin():
    """After disable() a deep copy, as the averaged model is one, leaves the plugin off."""
    yolo_focal.enable()
    model = build(MODEL)
    yolo_focal.disable()
    clone = copy.deepcopy(model)
    from ultralytics.utils import DEFAULT_CFG_DICT

    assert "obj" not in DEFAULT_CFG_DICT
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), clone.parameters(), strict=True))
    assert clone.model[-1].m[0].weight is not model.model[-1].m[0].weight


def test_a_restricted_load_accepts_the_head_while_enabled(enabled):
    """`torch.load(weights_only=True)` builds it among torch's own classes; after disable() it refuses again."""
    buffer = io.BytesIO()
    torch.save(build(MODEL).model[-1], buffer)
    globals_of_torch = [
        torch.nn.Conv2d,
        torch.nn.ModuleList,
    ]
    with torch.serialization.safe_globals(globals_of_torch):
        buffer.seek(0)
        assert torch.load(buffer, weights_only=True).na == 3
        yolo_focal.disable()
        buffer.seek(0)
        with pytest.raises(pickle.UnpicklingError, match="AnchorDetect"):
            torch.load(buffer, weights_only=True)


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"anchors": None}, "the model YAML has anchors: None, expected 3 rows"),
        ({"anchors": [[10, 13, 16, 30]] * 2}, "the model YAML has 2 rows of anchors, expected 3 rows"),
        ({"scale": "q"}, "the model YAML has no scale 'q'; expected one of n, s, m, l, x"),
    ],
)
def test_a_wrong_model_yaml_is_refused_in_one_line(enabled, changes, phrase):
    """What is wrong, what was expected."""
    with pytest.raises(ConfigError) as caught:
        build_dictionary(dictionary(**changes))
    assert phrase in str(caught.value) and "\n" not in str(caught.value)


def test_the_head_must_be_the_last_row_and_take_nc_and_anchors(enabled):
    """Anything else would be built wrongly or not at all."""
    good = dictionary()
    with pytest.raises(ConfigError, match="AnchorDetect must be the last row of the model YAML's head"):
        build_dictionary({**good, "head": [good["head"][-1], *good["head"][:-1]]})
    row = [*good["head"][-1][:3], ["nc", 3, 4]]
    with pytest.raises(ConfigError, match=r"AnchorDetect takes \[nc, anchors\] in the model YAML, got \['nc', 3, 4\]"):
        build_dictionary({**good, "head": [*good["head"][:-1], row]})


def test_an_unknown_scale_is_refused_with_the_known_ones(enabled):
    """A name of this package's with another letter is not looked for elsewhere."""
    from ultralytics import YOLO

    with pytest.raises(ConfigError, match=r"unknown scale 'q'; expected one of yolov5n-anchor\.yaml, yolov5s-anchor"):
        YOLO("yolov5q-anchor.yaml")


def test_a_file_of_the_users_with_such_a_name_comes_first(enabled, tmp_path, monkeypatch):
    """Names of files that exist are paths, as everywhere in Ultralytics."""
    from ultralytics import YOLO

    host.YAML.save(tmp_path / "yolov5n-anchor.yaml", {**dictionary(nc=7), "scale": None, "yaml_file": None})
    monkeypatch.chdir(tmp_path)
    assert YOLO("yolov5n-anchor.yaml").model.model[-1].nc == 7


def test_other_models_are_built_as_before(enabled):
    """A stock head stays a stock head."""
    assert type(build("yolov8n.yaml").model[-1]).__name__ == "Detect"


def test_a_checkpoint_of_the_first_version_loads(enabled, tmp_path, monkeypatch):
    """It names the head by the module that held it then; plainly, and with ULTRALYTICS_SAFE_LOAD=1."""
    from yolo_focal.ultra.anchor.head import AnchorDetect

    model = build("yolov5n-anchor.yaml").eval()
    model.args = dict(vars(model.args))
    path = tmp_path / "old.pt"
    with monkeypatch.context() as patch:
        patch.setattr(AnchorDetect, "__module__", "yolo_focal.ultra.anchor_head")
        torch.save({"model": model, "ema": None, "train_args": model.args, "epoch": -1}, path)
    assert b"cyolo_focal.ultra.anchor_head\nAnchorDetect" in zipfile.ZipFile(path).read("old/data.pkl")
    show = f"from ultralytics import YOLO; head = YOLO({str(path)!r}).model.model[-1]; print(type(head).__module__)"
    plain = run_python(show)
    safe = run_python(f"import yolo_focal; yolo_focal.enable(); {show}", ULTRALYTICS_SAFE_LOAD="1")
    for done in (plain, safe):
        assert done.returncode == 0 and "yolo_focal.ultra.anchor.head" in done.stdout, done.stderr[-2000:]
