"""The demo trains, evaluates and reports, whichever way it goes; here on a handful of images for one epoch."""

from yolo_focal import cli


def test_the_demo_reports_both_trainings(small_set, tmp_path, capfd):
    """One table with the per-class rows, a report with the same numbers, a picture, and both runs."""
    out = tmp_path / "demo"
    words = [f"data={small_set}", "epochs=1", "imgsz=64", "device=cpu", f"out={out}", "fl_gamma=2"]
    assert cli.main(["demo", *words]) == 0
    printed = capfd.readouterr().out
    report = (out / "report.md").read_text()
    for label in ("AP", "AP50", "AP rare classes", "AP disc"):
        assert label in printed and f"| {label}" in report
    assert (
        "BCE against focal(gamma=2, alpha=0.25, gain=auto)" in printed
        and "BCE against focal(gamma=2, alpha=0.25, gain=auto)" in report
    )
    assert (out / "classes.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "bce" / "args.yaml").is_file() and "fl_gamma: 2" in (out / "focal" / "args.yaml").read_text()
    assert "focal" not in (out / "bce" / "args.yaml").read_text().replace(str(out), "")


def test_a_bad_setting_is_refused_before_anything_is_written(tmp_path, capfd):
    """The focal run's arguments are checked first."""
    assert cli.main(["demo", "fl_gamma=-1", f"out={tmp_path / 'demo'}"]) == 2
    assert "fl_gamma must be a number >= 0" in capfd.readouterr().err
    assert not any(tmp_path.iterdir())
