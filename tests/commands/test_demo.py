"""The demo trains, evaluates and reports, whichever way it goes; here on a handful of images for one epoch."""

import pytest

from tests.helpers import write_squares
from yolo_focal import cli


def test_the_demo_reports_its_trainings(small_set, tmp_path, capfd):
    """One table with the per-class rows, a report with the same numbers, a picture, and the runs."""
    out = tmp_path / "demo"
    words = [f"data={small_set}", "epochs=1", "imgsz=64", "device=cpu", f"out={out}", "fl_gamma=2"]
    assert cli.main(["demo", *words]) == 0
    printed = capfd.readouterr().out
    report = (out / "report.md").read_text()
    for label in ("AP", "AP50", "AP rare classes", "AP disc"):
        assert label in printed and f"| {label}" in report
    for text in (printed, report):
        assert (
            "BCE, focal(gamma=2, alpha=0.25, gain=auto)" in text
            and "with BCE and rare classes shown more often" in text
        )
    assert "rare_paste: 0.5" in (out / "rare" / "args.yaml").read_text()
    assert (out / "classes.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "bce" / "args.yaml").is_file() and "fl_gamma: 2" in (out / "focal" / "args.yaml").read_text()
    assert "focal" not in (out / "bce" / "args.yaml").read_text().replace(str(out), "")


def test_a_bad_setting_is_refused_before_anything_is_written(tmp_path, capfd):
    """The focal run's arguments are checked first."""
    assert cli.main(["demo", "fl_gamma=-1", f"out={tmp_path / 'demo'}"]) == 2
    assert "fl_gamma must be a number >= 0" in capfd.readouterr().err
    assert cli.main(["demo", "fl_loss=bce", "fl_gamma=3", f"out={tmp_path / 'demo'}"]) == 2
    assert "fl_gamma=3 cannot act: fl_loss=bce does not use it" in capfd.readouterr().err
    assert not any(tmp_path.iterdir())


def test_data_in_which_nothing_is_rare_goes_without(one_class_yaml, tmp_path, capfd):
    """One class: the line says why, and the other two are trained."""
    out = tmp_path / "demo"
    words = [f"data={one_class_yaml}", "epochs=1", "imgsz=64", "device=cpu", f"out={out}"]
    assert cli.main(["demo", *words]) == 0
    printed = capfd.readouterr().out
    assert (
        "without the training of rare classes: rare_sampling=auto rare_paste=0.5 cannot act with one class" in printed
    )
    assert sorted(path.name for path in out.iterdir()) == ["bce", "classes.png", "focal", "report.md"]


@pytest.fixture
def one_class_yaml(tmp_path):
    """A dataset of a single class."""
    yaml = write_squares(tmp_path / "squares")
    text = yaml.read_text(encoding="utf-8").replace("[light, dark]", "[light]")
    for label in (tmp_path / "squares" / "labels").rglob("*.txt"):
        lines = [line for line in label.read_text(encoding="utf-8").splitlines() if line.startswith("0")]
        label.write_text("\n".join(lines), encoding="utf-8")
    yaml.write_text(text, encoding="utf-8")
    return yaml
