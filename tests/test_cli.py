"""The command line: what it says, what it refuses, and that a refusal leaves nothing behind."""

import shlex
import subprocess
import sys

import cv2
import numpy as np
import pytest

from yolo_focal import __version__, cli
from yolo_focal.arguments.commands import COMMANDS, SHELLS
from yolo_focal.arguments.focal import KEYS
from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Run `yolo-focal` with words in an empty folder; returns the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["yolo-focal"])
    from ultralytics import cfg

    monkeypatch.setattr(cfg, "ARGV", sys.argv)

    def call(*words):
        code = cli.main([str(word) for word in words])
        return (code, *capfd.readouterr())

    return call


def train(data, *words):
    """The words of a training that would take seconds."""
    return ["train", "model=yolo11n.yaml", f"data={data}", "epochs=1", "imgsz=32", *words]


REFUSED = [
    (["fl_gama=2"], "'fl_gama' is not a training argument; did you mean 'fl_gamma'?"),
    (["fl_gamma=-1"], "fl_gamma must be a number >= 0, got -1"),
    (["fl_gamma=nan"], "fl_gamma must be a number >= 0, got 'nan'"),
    (["fl_gamma=abc"], "fl_gamma must be a number >= 0, got 'abc'"),
    (["fl_alpha=1.5"], "fl_alpha must be "),
    (["fl_alpha=[0.1,0.2]"], "fl_alpha has 2 numbers, but the dataset has 10 classes; give one number per class"),
    (["fl_loss=foo"], "fl_loss must be one of bce, "),
    (["focal=False", "fl_gamma=2"], "focal=False switches the plugin off, but fl_gamma=2 needs it on"),
    (["focal", "data=/no/such.yaml"], "data=/no/such.yaml does not exist; give a data YAML, the name of an Ultra"),
    (["data=/no/such.yaml"], "data=/no/such.yaml does not exist; give a data YAML"),
    (["fl_branch=one2one"], "fl_branch=one2one needs an end-to-end head (YOLOv10, YOLO26), but this model's Detect"),
    (["cfg=focal", "cfg=rare"], "cfg= is given twice, "),
    (["cfg=fokal"], "cfg=fokal does not exist; give a YAML file or one of focal, "),
    (["epochs=many"], "'epochs=many' is of invalid type str"),
    (["epochs"], "'epochs' has no value; write epochs=VALUE"),
    (["epochs="], "'epochs=' has no value; write epochs=VALUE"),
    (["imgsz=[32,"], "has an unmatched '[' or ']' bracket"),
    (["model=no-such.pt"], "model=no-such.pt does not exist; give an architecture such as yolo11n.yaml, or"),
    (["model=no-such.yaml"], "model=no-such.yaml does not exist; give an architecture such as yolo11n.yaml, or"),
    (["model=runs/no-such.pt"], "model=runs/no-such.pt does not exist; give a checkpoint that is there"),
    (["hyp=hyp.yaml"], "'hyp' is YOLOv5's; here it is cfg=FILE"),
    (["--image-weights"], "'image-weights' is YOLOv5's; here it is rare_sampling=auto"),
    (["image_weights=True"], "'image_weights' is YOLOv5's; here it is rare_sampling=auto"),
    (["model=yolov5n.pt"], "for an original YOLOv5 checkpoint, yolo-focal convert weights=FILE"),
    (["fl_gamma=" + "9" * 400], "fl_gamma must be a number >= 0"),
    (["trian"], "'trian' is not a training argument; did you mean 'train'?"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_bad_input_is_one_line_and_exit_code_2(run, small_set, tmp_path, words, message):
    """The line names the value and what was expected; no run folder appears."""
    code, _, err = run(*train(small_set, *words))
    lines = [line for line in err.splitlines() if line.startswith("yolo-focal: ")]
    assert code == 2
    assert len(lines) == 1 and message in lines[0]
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("verb", ["train", "val", "predict"])
def test_the_file_of_yolov5_s_own_program_is_not_passed_over(run, shared, small_set, tmp_path, verb):
    """Ultralytics would look for its own yolov5nu.pt beside it, and in the network."""
    (tmp_path / "yolov5n.pt").symlink_to(shared / "weights" / "yolov5n.pt")
    code, _, error = run(verb, "model=yolov5n.pt", f"data={small_set}", *["epochs=1"] * (verb == "train"))
    assert code == 2 and "is a checkpoint of the original YOLOv5" in error and "convert weights=yolov5n.pt" in error


@pytest.mark.parametrize(
    "word",
    [
        "epochs=many",
        "device=7",
        "model=no.yaml",
        "model=no.pt",
        "fl_scope=obj",
        "fl_loss=softmax",
        "fl_alpha=[0.1,0.2]",
    ],
)
def test_the_built_in_set_is_not_drawn_for_what_is_refused(run, tmp_path, monkeypatch, word):
    """Nothing is written, in the folder of datasets either."""
    monkeypatch.setattr("yolo_focal.ultra.datasets.datasets_folder", lambda: tmp_path / "datasets")
    assert run(*train("shapes", word))[0] == 2
    assert not any(tmp_path.iterdir())


def test_the_dataset_of_a_classifier_by_its_name(run, tmp_path, monkeypatch):
    """A folder in Ultralytics' datasets folder, or a name that it downloads; other datasets have no such name."""
    from yolo_focal.ultra.command_line import checked_words
    from yolo_focal.ultra.datasets import datasets_folder

    monkeypatch.setattr("ultralytics.data.utils.DATASETS_DIR", datasets_folder())  # set where it was imported
    for split in ("train", "val"):
        for name in ("a", "b"):
            folder = datasets_folder() / "letters" / split / name
            folder.mkdir(parents=True)
            for index in range(4):
                cv2.imwrite(str(folder / f"{index}.png"), np.full((32, 32, 3), 60 * index, np.uint8))
    words = ("train", "model=yolo11n-cls.yaml", "epochs=1", "imgsz=32", "plots=False", f"project={tmp_path}", "focal")
    assert run(*words, "data=letters")[0] == 0
    assert "data=mnist160" in checked_words([*words, "data=mnist160"])
    for refused in ("data=no/such", "data=letters.yaml", ["model=yolo11n.yaml", "data=mnist160"]):
        with pytest.raises(DataError, match="does not exist; give a data YAML"):
            checked_words([*words, *([refused] if isinstance(refused, str) else refused)])


def test_a_classifier_needs_images_to_validate_on(run, tmp_path):
    """Ultralytics would end in an error of Python's."""
    (tmp_path / "letters/train/a").mkdir(parents=True)
    code, _, err = run("train", "model=yolo11n-cls.yaml", "data=letters", "epochs=1", "imgsz=32")
    assert code == 2 and "data=letters has a folder 'train' and no val, validation, valid, test; add one" in err
    assert [each.name for each in tmp_path.iterdir()] == ["letters"]
    from yolo_focal.ultra.datasets import datasets_folder, refuse_without_validation

    (datasets_folder() / "unvalidated/train/a").mkdir(parents=True, exist_ok=True)
    with pytest.raises(DataError, match="data=unvalidated has a folder 'train' and no val"):
        refuse_without_validation("unvalidated")  # found by its name, as Ultralytics does


def test_all_problems_of_a_call_are_in_the_one_line(run, small_set):
    """A misspelt key of this plugin, one of Ultralytics and a bad value."""
    _, _, err = run(*train(small_set, "fl_gama=2", "epoch=3", "fl_alpha=7"))
    assert all(part in err for part in ("did you mean 'fl_gamma'?", "did you mean 'epochs'?", "fl_alpha must be"))


def test_an_unsupported_ultralytics_is_refused_with_what_is_missing(run, small_set, monkeypatch):
    """A host library without a seam ends in one line that names it."""
    from ultralytics.utils import loss

    monkeypatch.setattr(loss.v8DetectionLoss, "__init__", lambda self, model: None)
    code, _, err = run(*train(small_set, "focal"))
    assert code == 2
    assert "lacks what yolo_focal has to reach: ultralytics.utils.loss.v8DetectionLoss.__init__: takes (model" in err


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["-h"]])
def test_help_lists_commands_arguments_and_presets(run, words):
    """Everything a user can type is there."""
    code, out, _ = run(*words)
    assert code == 0
    assert all(name in out for name in [*COMMANDS, *KEYS, "focal-alpha75"])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_its_arguments(run, name):
    """`yolo-focal COMMAND help` has one line for each."""
    command = COMMANDS[name]
    for words in ((name, "help"), (name, "--help"), ("help", name)):
        code, out, _ = run(*words)
        assert code == 0 and out.startswith(f"yolo-focal {name}: {command.summary}")
        assert all(f"  {key.name}" in out and key.help in out for key in command.keys)
        assert ("training arguments" in out or "fl_* arguments" in out) == command.training


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_refuses_an_unknown_argument(run, tmp_path, name):
    """With exit code 2 and nothing written."""
    code, _, err = run(name, "no_such_argument=1")
    assert code == 2 and "'no_such_argument' is not an argument of" in err
    assert not any(tmp_path.iterdir())


def test_commands_of_ultralytics_pass_through(run):
    """`yolo-focal version` is `yolo version`."""
    assert run("version")[0] == 0


@pytest.mark.parametrize("words", [["--version"], ["-v"], ["-V"]])
def test_the_version_is_that_of_this_package_first(run, words):
    """Those of Ultralytics and torch behind it, as a bug report needs them."""
    import torch
    import ultralytics

    code, out, _ = run(*words)
    torch_version = torch.__version__.partition("+")[0]
    assert code == 0 and out.startswith(f"yolo_focal {__version__} (ultralytics {ultralytics.__version__}, torch ")
    assert torch_version in out


@pytest.mark.parametrize(("word", "meant"), [("comapre", "compare"), ("evalute", "evaluate"), ("doctr", "doctor")])
def test_a_slip_in_the_name_of_a_command_is_told(run, tmp_path, word, meant):
    """Before anything heavy is loaded."""
    code, _, err = run(word, "data=x.yaml")
    assert code == 2 and err == f"yolo-focal: '{word}' is no command; did you mean '{meant}'?\n"
    assert not any(tmp_path.iterdir())


LIGHT = [
    [],
    ["help"],
    ["--help"],
    ["-h"],
    ["--version"],
    ["comapre"],
    *(["help", name] for name in COMMANDS),
    *([name, "help"] for name in COMMANDS),
    *(["completion", shell] for shell in SHELLS),
]


def test_help_loads_nothing_heavy():
    """Neither torch nor Ultralytics, NumPy, OpenCV or Matplotlib, whatever help is asked for: one process for all."""
    program = (
        "import sys\n"
        "from yolo_focal import cli\n"
        f"for words in {LIGHT!r}: cli.main(words)\n"
        "heavy = {'torch', 'ultralytics', 'numpy', 'cv2', 'matplotlib', 'PIL', 'scipy', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("word", "first"), [("help", "yolo-focal "), ("cfg", "Printing ")])
def test_a_reader_that_has_seen_enough_is_no_error(word, first):
    """`yolo-focal help | head -1` ends quietly, what Ultralytics logs as well."""
    done = subprocess.run(
        f"{sys.executable} -c 'from yolo_focal import cli; [cli.main([\"{word}\"]) for _ in range(99)]' | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith(first) and done.stderr == ""


def test_lists_of_ultralytics_name_this_package_too(run):
    """`checks` its version, `cfg` its arguments."""
    code, out, _ = run("checks")
    assert code == 0 and out.splitlines()[-1].split() == ["yolo_focal", __version__]
    code, out, _ = run("cfg")
    assert code == 0 and all(f"\n{name}: " in f"\n{out}" for name in TRAINING_KEYS)


@pytest.mark.parametrize("words", [["fl_gamma=2"], ["focal=True", "data=shapes"], ["rare_paste=0.5"]])
def test_training_arguments_alone_start_nothing(run, tmp_path, words):
    """Ultralytics would train its default model with them."""
    code, _, error = run(*words)
    assert code == 2 and "stands alone; write yolo-focal train model=yolo11n.pt data=DATA.yaml" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["train", "help"], ["train", "--help"], ["help", "train"], ["val", "-h"]])
def test_help_of_a_verb_of_ultralytics_leads_to_the_arguments(run, words):
    """Not to a training."""
    code, printed, _ = run(*words)
    assert code == 0 and "Training arguments:" in printed


def test_a_damaged_exported_model_is_one_line(run, small_set, tmp_path):
    """Whose runtime has errors of its own kind."""
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    code, _, error = run("evaluate", "model=bad.onnx", f"data={small_set}", "imgsz=32", "device=cpu")
    assert code == 2 and "model=bad.onnx cannot be loaded" in error.strip().split("\n")[-1]


def test_a_format_whose_package_is_missing_has_the_install_command(run, monkeypatch):
    """No report of a crash is asked for."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    from ultralytics.engine import exporter

    monkeypatch.setattr(exporter, "check_requirements", lambda *_, **__: False)
    code, _, error = run("export", "model=yolo11n.yaml", "format=onnx", "imgsz=32")
    assert code == 2 and error.strip().endswith("yolo-focal: onnx is not installed; install it: pip install onnx")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trust=True"], "trust= stands alone; add what to do"),
        (["evaluate", "conf={[1]}"], "conf must be"),
        (["doctor", "model=yolo11n.yaml", "data=shapes", "name=/"], "name=/ must be the name of a folder"),
        (["train", "model=no/such.pt", "data=shapes", "cfg=CLASSIC"], "model=no/such.pt does not exist"),
        (["doctor", "model=JUNK", "data=shapes"], "junk.yaml cannot be loaded"),
        (["train", "model=no.onnx", "data=shapes", "cfg=CLASSIC"], "model=no.onnx cannot be loaded"),
    ],
)
def test_odd_words_are_one_line(run, tmp_path, words, message):
    """Exit code 2 and a sentence; a YOLOv5 file does not hide what is wrong with the model beside it."""
    (tmp_path / "classic.yaml").write_text("anchor_t: 4.0\nfl_gamma: 1.5\n", encoding="utf-8")
    (tmp_path / "junk.yaml").write_text("nc: 3\n", encoding="utf-8")
    files = {"CLASSIC": tmp_path / "classic.yaml", "JUNK": tmp_path / "junk.yaml"}
    for name, file in files.items():
        words = [word.replace(name, str(file)) for word in words]
    code, _, error = run(*words)
    assert code == 2 and message in error and "unexpected" not in error


def test_a_closed_output_is_no_error():
    """As `>&-` leaves it."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"{shlex.quote(sys.executable)} -m yolo_focal help >&-"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


def test_a_word_that_is_no_text_is_one_line(run):
    """As a name in another encoding arrives from a shell; yolo's verbs and our commands alike."""
    for words in (["train", "model=yolo11n.yaml", "name=caf\udce9"], ["doctor", "data=caf\udce9.yaml"]):
        code, out, err = run(*words)
        assert code == 2 and not out and len(err.splitlines()) == 1
        assert "caf\\udce9" in err and "is not UTF-8 text; rename the file" in err
