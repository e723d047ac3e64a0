"""A folder belongs to one comparison; a trial has to be the one that was asked for."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from ultralytics.utils import SETTINGS

from tests.comparison.comparisons import SPLIT, plan
from tests.helpers import write_squares
from yolo_focal.comparison.configurations import parse_configurations
from yolo_focal.comparison.plan import LOCK, check_folder, claim_folder, make_plan
from yolo_focal.comparison.runner import run_missing_trials
from yolo_focal.comparison.trial import check_used, run_trial
from yolo_focal.errors import ConfigError, DataError
from yolo_focal.evaluation.matches_file import load_matches
from yolo_focal.evaluation.model import evaluate_model


def test_the_same_comparison_may_come_back(tmp_path):
    """Also on another device: where it is carried out is no part of it."""
    claim_folder(plan(tmp_path, device="cpu"))
    claim_folder(plan(tmp_path, device="0"))


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"epochs": 6}, "epochs was 5, is now 6"),
        ({"seeds": 4}, "seeds was [0, 1, 2], is now [0, 1, 2, 3]"),
        ({"losses": "focal"}, "configurations was"),
        ({"lr0": 0.1}, "lr0 was not given, is now 0.1"),
    ],
)
def test_another_one_is_refused_with_the_difference(tmp_path, change, phrase):
    """What it was and what it is now, and nothing is written."""
    claim_folder(plan(tmp_path))
    before = (tmp_path / "comparison.json").read_bytes()
    with pytest.raises(DataError) as caught:
        claim_folder(plan(tmp_path, **change))
    assert phrase in str(caught.value) and "holds another comparison" in str(caught.value)
    assert (tmp_path / "comparison.json").read_bytes() == before


def test_a_dataset_that_changed_is_another_comparison(tmp_path):
    """Images or training boxes more: pairs would be measured on different things. Folders without the numbers go on."""
    claim_folder(plan(tmp_path))
    record = json.loads((tmp_path / "comparison.json").read_text())
    for change, phrase in (
        ({"images": 51}, "images was 50, is now 51"),
        ({"training_instances": (901, 300, 60)}, "training_boxes was 1260, is now 1261"),
    ):
        changed = replace(plan(tmp_path), split=replace(SPLIT, **change))
        with pytest.raises(DataError, match=phrase):
            claim_folder(changed)
    del record["images"], record["training_boxes"]
    (tmp_path / "comparison.json").write_text(json.dumps(record))
    claim_folder(plan(tmp_path))


def test_a_refused_process_leaves_the_record_of_the_other_as_it_was(tmp_path):
    """The folder is another's until its lock is free, also for a comparison that would extend it."""

    def while_at_work(trials, first_epoch):
        with pytest.raises(DataError, match="another process is at work"):
            run_missing_trials(plan(tmp_path, "focal", seeds=3), None, extend=True)
        return iter(())

    run_missing_trials(plan(tmp_path, "focal", seeds=1), while_at_work)
    assert json.loads((tmp_path / "comparison.json").read_text())["seeds"] == [0]


def test_a_folder_with_nothing_but_a_lock_is_new(tmp_path):
    """What a process leaves that was killed before it wrote anything."""
    (tmp_path / LOCK).touch()
    check_folder(plan(tmp_path))


def test_extending_adds_seeds_and_configurations_only(tmp_path):
    """More of the same is allowed when asked for; fewer, or anything else, is not."""
    claim_folder(plan(tmp_path, "focal", seeds=2))
    claim_folder(plan(tmp_path, "focal,qfl", seeds=4), extend=True)
    assert json.loads((tmp_path / "comparison.json").read_text())["seeds"] == [0, 1, 2, 3]
    with pytest.raises(DataError, match="seeds was"):
        claim_folder(plan(tmp_path, "focal,qfl", seeds=2), extend=True)
    with pytest.raises(DataError, match="configurations was"):
        claim_folder(plan(tmp_path, "qfl", seeds=4), extend=True)
    with pytest.raises(DataError, match="epochs was 5, is now 6"):
        claim_folder(plan(tmp_path, "focal,qfl", seeds=5, epochs=6), extend=True)


def test_trials_are_paired_seed_by_seed_in_folders_of_their_own(tmp_path):
    """Every configuration with every seed, all with the same shared arguments."""
    trials = plan(tmp_path, "focal,focal:fl_gamma=2,cls_pw").trials()
    assert [(each.configuration, each.seed) for each in trials[:4]] == [
        ("bce", 0),
        ("focal", 0),
        ("focal:fl_gamma=2", 0),
        ("cls_pw", 0),
    ]
    assert len({each.folder for each in trials}) == len(trials) == 12
    assert all(each.arguments["epochs"] == 5 and each.arguments["patience"] == 0 for each in trials)


ASKED = {"data": "d.yaml", "epochs": 3, "seed": 1, "focal": True, "fl_gamma": 2.0}
RAN = {"class": "focal(gamma=2, alpha=0.25, gain=auto)"}


def used(**changes):
    """The arguments of a training that did what ASKED says, with changes."""
    plugin = {"focal": True, "fl_loss": "focal", "fl_gamma": 2.0, "fl_alpha": 0.25}
    return {"data": "d.yaml", "epochs": 3, "seed": 1, "lr0": 0.01, **plugin, **changes}


def test_a_training_that_did_what_was_asked_passes():
    """Also one with both branches of an end-to-end head, or only one of them wrapped."""
    check_used(ASKED, used(), RAN)
    both = {"one2many": "focal(gamma=2, alpha=0.25, gain=auto)", "one2one": "focal(gamma=2, alpha=0.25, gain=auto)"}
    check_used(ASKED, used(), both)
    one = {"one2many": "focal(gamma=2, alpha=0.25, gain=auto)", "one2one": "BCE"}
    check_used({**ASKED, "fl_branch": "one2many"}, used(fl_branch="one2many"), one)
    check_used({"data": "d.yaml", "cls_pw": 0.5}, {"data": "d.yaml", "cls_pw": 0.5}, {"class": "BCE, classes weighted"})
    check_used({**ASKED, "fl_gain": 1}, used(fl_gain=1), {"class": "focal(gamma=2, alpha=0.25, gain=1)"})
    rare = {"rare_sampling": "auto", "rare_paste": 0.5}
    check_used({"data": "d.yaml", **rare}, {"data": "d.yaml", **rare}, {"class": "BCE"})
    anchor = {"data": "d.yaml", "obj": 1.0, "anchor_t": 3.0}  # args.yaml has what is not at its default
    check_used(anchor, {"data": "d.yaml", "anchor_t": 3.0}, {"anchor": "BCE"})


@pytest.mark.parametrize(
    ("changes", "ran", "phrase"),
    [
        ({"epochs": 2}, RAN, "epochs=3 was asked for, 2 was used"),
        ({"fl_gamma": 1.5}, RAN, "fl_gamma=2.0 was asked for, 1.5 was used"),
        ({"fl_alpha": 0.5}, RAN, "were asked for"),
        ({}, {"class": "BCE"}, "ran"),
        ({}, {"class": "focal(gamma=1.5, alpha=0.25, gain=auto)"}, "ran"),
        ({}, {"one2many": RAN["class"], "one2one": "BCE"}, "ran"),
        ({}, {"class": RAN["class"] + ", classes weighted"}, "ran"),
        ({}, {}, "never seen running"),
        ({"rare_paste": 0.5}, RAN, "rare_paste"),
        ({"obj": 2.0}, RAN, "obj=1.0 was asked for, 2.0 was used"),
    ],
)
def test_a_training_that_did_something_else_is_an_error(changes, ran, phrase):
    """Whether args.yaml or the criterion tells it."""
    with pytest.raises(ConfigError) as caught:
        check_used({**ASKED, "obj": 1.0}, used(**changes), ran)
    assert phrase in str(caught.value)


def planned(out, data, model="yolo11n.yaml", **training):
    """A plan of a training that could be carried out."""
    return make_plan(
        out=out,
        data=str(data),
        model=model,
        configurations=parse_configurations("focal"),
        seeds=(0,),
        training={"epochs": 1, "imgsz": 32, "batch": 4, "device": "cpu", **training},
        split="val",
    )


def test_a_model_that_the_first_run_downloads_is_the_same_in_the_second(
    tmp_path, tiny_data, chatty_checkpoint, monkeypatch
):
    """Ultralytics leaves `yolo11n.pt` in the working directory, where it was not when the comparison began."""
    monkeypatch.setattr(
        "ultralytics.utils.downloads.safe_download", lambda url, file, **_: shutil.copy(chatty_checkpoint, file)
    )
    monkeypatch.chdir(tmp_path)
    claim_folder(planned(tmp_path / "out", tiny_data, "yolo11n.pt"))
    assert (tmp_path / "yolo11n.pt").exists()
    claim_folder(planned(tmp_path / "out", tiny_data, "yolo11n.pt"))


@pytest.mark.parametrize("name", ["coco8", "coco8.yaml"])
def test_a_dataset_of_ultralytics_goes_by_its_name(tmp_path, monkeypatch, name):
    """As everywhere else, where its images are there."""
    monkeypatch.setitem(SETTINGS, "datasets_dir", str(tmp_path))
    write_squares(tmp_path / "coco8")
    assert planned(tmp_path / "out", name).split.images == 8


def test_classes_of_one_name_are_refused(tmp_path):
    """Of two rows called the same, results by name would have one."""
    data = write_squares(tmp_path / "data")
    data.write_text(data.read_text().replace("[light, dark]", "[square, square]"))
    with pytest.raises(DataError, match="several classes are called 'square', and results go by name; rename them"):
        planned(tmp_path / "out", data)


def test_the_evaluation_is_as_asked_for_and_part_of_the_comparison(tmp_path, tiny_data):
    """Given to the command or in its file, but not in that of a configuration, it holds for all of them."""
    comparison = planned(tmp_path / "out", tiny_data, max_det=1, val=False, workers=0, plots=False)
    claim_folder(comparison)
    trial = comparison.trials()[0]
    row = run_trial(trial)
    found = load_matches(trial.folder / "matches.npz")
    assert row["status"] == "finished" and 0 < len(found.scores) <= found.images
    with pytest.raises(DataError, match=r"measured_with was \{'max_det': 1\}, is now \{\}"):
        check_folder(planned(tmp_path / "out", tiny_data, val=False, workers=0, plots=False), extend=True)
    with pytest.raises(ConfigError, match=r"sets max_det, which every configuration shares.*give max_det= to the"):
        parse_configurations("focal:max_det=1")
    (tmp_path / "mine.yaml").write_text("iou: 0.5\n")
    assert replace(comparison, configurations=parse_configurations(str(tmp_path / "mine.yaml"))).measured_with == {
        "max_det": 1
    }


def test_the_branch_without_nms_is_evaluated_where_it_is_asked_for(tmp_path, tiny_data):
    """`fl_branch=one2one` acts on no other, and the other is what Ultralytics validates."""
    comparison = planned(tmp_path / "out", tiny_data, "yolo26n.yaml", nms=False, val=False, workers=0, plots=False)
    trial = comparison.trials()[0]
    assert run_trial(trial)["status"] == "finished"
    branches = [
        evaluate_model(trial.folder / "run/weights/last.pt", tiny_data, imgsz=32, batch=4, nms=nms).evaluation.matches
        for nms in (False, None)
    ]
    found = load_matches(trial.folder / "matches.npz").scores
    assert [np.array_equal(found, each.scores) for each in branches] == [True, False]
