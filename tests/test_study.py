"""The study: its files are valid, its page holds what the raw results say, and it runs."""

import dataclasses
import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import yaml

import yolo_focal
from studies.definition import read_studies
from studies.raw_results import write_rows
from studies.seed_statistics import mean_with_interval
from studies.tables import epochs_table, pairs_table, place_tables
from yolo_focal.comparison.configurations import BASELINE, parse_configurations
from yolo_focal.errors import DataError
from yolo_focal.resources import cfg_names

ROOT = Path(__file__).parents[1]
EVIDENCE = ROOT / "docs/evidence"
TINY = {
    "title": "Tiny",
    "data": "shapes",
    "model": "yolo11n.yaml",
    "seeds": 1,
    "training": {"epochs": 1, "imgsz": 32, "batch": 32, "val": False, "workers": 0, "fraction": 0.2},
    "questions": {"scale": ["focal"]},
}


@pytest.fixture
def study(monkeypatch, capsys):
    """Runs the program in this process and returns its exit code and what it printed."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["study.py", *words])
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(ROOT / "scripts/study.py"), run_name="__main__")
        printed = capsys.readouterr()
        return caught.value.code, printed.out, printed.err

    return run


@pytest.mark.parametrize("name", cfg_names("study"))
@pytest.mark.usefixtures("enabled")
def test_the_files_of_the_study_are_valid(name):
    """Every configuration is one that compare knows, and none is there twice."""
    (each,) = read_studies([name], 1.0)
    parsed = parse_configurations(",".join(each.configurations))
    assert [configuration.name for configuration in parsed] == each.configurations
    assert each.configurations[0] == BASELINE and each.seeds >= 3
    assert {name for pairs in each.pairs.values() for pair in pairs for name in pair} <= set(each.configurations)


def test_a_short_version_of_a_study_pastes_as_well():
    """The last close_mosaic epochs do not, and by default there would be no others."""
    (short,) = read_studies(["bccd"], 0.1)
    assert short.training["epochs"] == 4 and short.training["close_mosaic"] == 0
    assert "close_mosaic" not in read_studies(["bccd"], 1.0)[0].training


def test_a_study_that_confirms_another_has_new_seeds():
    """And as many as it says."""
    hint, confirmation = read_studies(["bccd-anchor", "bccd-anchor-new-seeds"], 1.0)
    assert len(confirmation.seed_range) == confirmation.seeds == 20
    assert not set(hint.seed_range) & set(confirmation.seed_range)


def test_the_page_holds_what_the_raw_results_say():
    """Every table of the page is the one that is made anew."""
    page = (ROOT / "docs/evidence.md").read_text(encoding="utf-8")
    kept = [each for each in read_studies([], 1.0) if (EVIDENCE / each.name / "summary.json").is_file()]
    assert kept and "<!-- table shapes/rare -->" in page
    assert place_tables(page, kept, EVIDENCE) == page
    assert place_tables(page.replace("| 0.399 |", "| 0.499 |"), kept, EVIDENCE) == page


def test_the_means_of_a_summary_are_those_of_its_trials():
    """AP of every configuration is the mean over the rows of trials.jsonl."""
    for folder in filter(Path.is_dir, EVIDENCE.iterdir()):
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        rows = [json.loads(line) for line in (folder / "trials.jsonl").read_text(encoding="utf-8").splitlines()]
        for name, found in summary["configurations"].items():
            values = [row["stats"]["AP"] for row in rows if row["configuration"] == name]
            assert len(values) == len(found["seeds"])
            assert sum(values) / len(values) == pytest.approx(found["results"]["AP"]["mean"], abs=1e-12)


def test_the_plan_counts_what_is_missing(study, tmp_path):
    """From the journal; a third of the seeds is one of three."""
    shutil.copytree(EVIDENCE / "masks", tmp_path / "masks")
    rows = (tmp_path / "masks/trials.jsonl").read_text(encoding="utf-8").splitlines()
    finished = [json.dumps(json.loads(row) | {"status": "finished", "criterion": {}}) for row in rows]
    (tmp_path / "masks/trials.jsonl").write_text("".join(f"{row}\n" for row in finished[:7]), encoding="utf-8")
    (tmp_path / "masks/trials/bce-seed0").mkdir(parents=True)
    (tmp_path / "masks/trials/bce-seed0/trained.json").write_text('{"secon', encoding="utf-8")  # a killed writer's
    code, printed, _ = study("plan", "only=masks", f"out={tmp_path}")
    assert code == 0 and printed.splitlines()[1].split()[:5] == ["masks", "5", "3", "15", "7"]
    _, printed, _ = study("plan", "only=masks", f"out={tmp_path}", "scale=0.3")
    assert printed.splitlines()[1].split()[:5] == ["masks", "5", "1", "5", "5"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["only=nothing"], "only=nothing does not exist; give a YAML file or one of "),
        (["do=else"], "do must be one of plan, run, scores, nms_free, limit, tables"),
        (["else"], "do must be one of plan, run, scores, nms_free, limit, tables"),
        (["scale=0"], "scale must be in (0, 10], got '0'"),
        (["tables", "out=nowhere", "docs=nowhere"], "neither nowhere nor nowhere/evidence has results"),
    ],
)
def test_bad_input_is_one_line(study, words, message):
    """Exit code 2."""
    code, _, error = study(*words)
    assert code == 2 and message in error and error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("enabled")
def test_a_study_of_its_own_runs_and_is_never_repeated(study, tmp_path):
    """Two trainings, a plan without anything missing, and a page with the table."""
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY), encoding="utf-8")
    arguments = [f"only={file}", f"out={tmp_path / 'out'}"]
    assert study("run", *arguments)[0] == 0
    before = (tmp_path / "out/tiny/trials.jsonl").read_bytes()
    assert study("run", *arguments)[0] == 0
    assert (tmp_path / "out/tiny/trials.jsonl").read_bytes() == before
    assert study("plan", *arguments)[1].splitlines()[1].split()[:5] == ["tiny", "2", "1", "2", "2"]
    (tmp_path / "evidence.md").write_text("<!-- table tiny/scale -->\n<!-- end -->\n", encoding="utf-8")
    assert study("tables", *arguments, f"docs={tmp_path}")[0] == 0
    assert "| `focal` | 0." in (tmp_path / "evidence.md").read_text(encoding="utf-8")
    assert (tmp_path / "evidence/tiny-scale.png").is_file()


def test_the_worth_of_scores_is_the_mean_over_seeds():
    """With Student's interval: of 1, 2, 3 it is 2 +- 4.303 / sqrt(3)."""
    assert mean_with_interval([1.0, 2.0, 3.0], ".3f") == "2.000 (-0.484 to 4.484)"
    assert mean_with_interval([0.5], ".2f") == "0.50"


def test_pairs_are_compared_seed_by_seed(tmp_path):
    """With Student's interval over the seeds that both have, and Holm's correction."""
    each = dataclasses.replace(read_studies(["txl"], 1.0)[0], name="pairs")
    values = {  # AP by seed; differences 0.1, 0.2, 0.3 and 0.01, -0.01, of which seed 9 has no partner
        "focal": {0: 0.6, 1: 0.7, 2: 0.8, 9: 0.1},
        "focal:fl_gain=1": {0: 0.5, 1: 0.5, 2: 0.5},
        "rare-focal": {0: 0.51, 1: 0.49},
        "rare": {0: 0.5, 1: 0.5},
    }
    rows = [
        {"configuration": name, "seed": seed, "stats": {"AP": ap}}
        for name, seeds in values.items()
        for seed, ap in seeds.items()
    ]
    write_rows(tmp_path / "pairs/trials.jsonl", rows)
    # t = 0.2 / (0.1 / sqrt(3)) = 3.464 has p = 0.074 with two degrees of freedom, twice that after Holm's correction.
    assert pairs_table(each, "each-other", tmp_path).splitlines()[2:] == [
        "| `focal` | `focal:fl_gain=1` | +0.200 (-0.048 to +0.448) | cannot tell | 3 |",
        "| `rare-focal` | `rare` | +0.000 (-0.127 to +0.127) | cannot tell | 2 |",
    ]
    for row in rows[1:3]:
        row["stats"]["AP"] = 0.6 + row["seed"] * 1e-4  # a difference that hardly varies
    write_rows(tmp_path / "pairs/trials.jsonl", rows)
    assert "| +0.100 (+0.100 to +0.100) | better | 3 |" in pairs_table(each, "each-other", tmp_path)
    write_rows(tmp_path / "pairs/trials.jsonl", [row for row in rows if row["seed"] == 0])
    assert "| +0.010 | cannot tell | 1 |" in pairs_table(each, "each-other", tmp_path)


def test_the_table_over_epochs_says_what_bce_has_gained_by_the_longer_training():
    """Over the seeds of both studies; a configuration that a shorter study lacks has an empty cell."""
    (longest,) = read_studies(["txl-6x"], 1.0)
    asked = dataclasses.replace(longest, questions={"budget": ["rare", "rare-focal"]})
    first, second, third = (row.split(" | ") for row in epochs_table(asked, EVIDENCE).splitlines()[2:])
    assert [row[0] for row in (first, second, third)] == ["| 12", "| 36", "| 72"]
    ap = {}
    for name in ("txl", "txl-3x", "txl-6x"):
        lines = (EVIDENCE / name / "trials.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        ap[name] = {row["seed"]: row["stats"]["AP"] for row in rows if row["configuration"] == "bce"}
    assert len(ap["txl"]) == 5 and len(ap["txl-3x"]) == 3 and first[2] == ""
    for row, longer, shorter in ((second, "txl-3x", "txl"), (third, "txl-6x", "txl-3x")):
        mean = sum(ap[longer][seed] - ap[shorter][seed] for seed in range(3)) / 3
        assert row[2].startswith(f"{mean:+.3f} (")
    assert third[3].endswith(" better") and third[5:] == ["", "", "3 |"] and second[5] != ""


def test_an_open_verdict_says_what_would_settle_it():
    """In the words of the comparison; what no practical number would settle is too small."""
    page = (ROOT / "docs/evidence.md").read_text(encoding="utf-8")
    page = re.sub(r"<!-- table [\w-]+/nms_free -->.*?<!-- end -->", "", page, flags=re.DOTALL)  # over seeds alone
    assert "| cannot tell: it would take 42 seeds |" in page and "| cannot tell: too small |" in page
    verdicts = re.findall(r"\| (better|worse|cannot tell[^|]*) \| [^|]+ \| [-+]", page)
    assert verdicts and "cannot tell" not in verdicts


@pytest.mark.parametrize("action", ["scores", "limit", "nms_free"])
def test_what_a_study_does_not_ask_is_refused(study, tmp_path, action):
    """In one line."""
    code, _, error = study(action, "only=masks", f"out={tmp_path}")
    assert code == 2 and f"the study masks has no {action}" in error


@pytest.mark.usefixtures("enabled")
def test_checkpoints_of_a_tiny_study(study, tmp_path):
    """A training too short to be calibrated is named; NMS within its time limit loses nothing; the tables are made."""
    limit = {"configurations": ["bce"], "imgsz": 32, "batch": [4]}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({**TINY, "scores": ["bce"], "limit": limit}), encoding="utf-8")
    words = (f"only={tmp_path / 'tiny.yaml'}", f"out={tmp_path / 'out'}", f"docs={tmp_path / 'docs'}")
    assert study("run", *words)[0] == 0
    code, printed, _ = study("scores", *words)
    assert code == 0 and "bce seed 0: " in printed
    assert (tmp_path / "docs/evidence/tiny/scores.jsonl").is_file()
    assert study("limit", *words)[0] == 0
    (row,) = (tmp_path / "docs/evidence/tiny/limit.jsonl").read_text(encoding="utf-8").splitlines()
    found = json.loads(row)
    assert found["limited"]["AP"] == found["unlimited"]["AP"] and found["limited"]["images"] == 200
    (tmp_path / "docs/evidence.md").write_text("<!-- table tiny/limit -->\n<!-- end -->\n", encoding="utf-8")
    assert study("tables", *words)[0] == 0
    assert "| 0 of 200 | " in (tmp_path / "docs/evidence.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("enabled")
def test_the_branch_without_nms_of_a_tiny_study(study, tmp_path):
    """Its AP is what evaluate finds with nms=False, and a row of the table is a configuration over its seeds."""
    tiny = {**TINY, "model": "yolo26n.yaml", "seeds": 2, "nms_free": ["bce", "focal"]}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny), encoding="utf-8")
    words = (f"only={tmp_path / 'tiny.yaml'}", f"out={tmp_path / 'out'}", f"docs={tmp_path / 'docs'}")
    assert study("run", *words)[0] == 0 and study("nms_free", *words)[0] == 0
    file = tmp_path / "docs/evidence/tiny/nms_free.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [(row["configuration"], row["seed"]) for row in rows] == [("bce", 0), ("bce", 1), ("focal", 0), ("focal", 1)]
    weights = tmp_path / "out/tiny/trials/focal-seed1/run/weights/last.pt"
    found = yolo_focal.evaluate(weights, "shapes", imgsz=32, nms=False, verbose=False, out=tmp_path / "evaluation")
    assert rows[3]["AP"] == found.stats["AP"]
    for row, ap in zip(rows, (0.1, 0.2, 0.3, 0.5), strict=True):
        row.update({"AP": ap, "AP rare": ap})
    write_rows(file, rows)
    page = place_tables(
        "<!-- table tiny/nms_free -->\n<!-- end -->", read_studies([words[0][5:]], 1.0), file.parents[1]
    )
    assert "| bce | 0.150 |  |  | 0.150 |  | 2 |" in page
    assert "| `focal` | 0.400 | +0.250 (-0.385 to +0.885) | cannot tell | 0.400 | +0.250" in page


def test_tables_of_checkpoints_that_are_not_there_yet(tmp_path):
    """A configuration without a row is left out; a file that was never made is named with what makes it."""
    (each,) = read_studies(["bccd-anchor"], 1.0)
    shutil.copytree(EVIDENCE / "bccd-anchor", tmp_path / "bccd-anchor")
    file = tmp_path / "bccd-anchor/limit.jsonl"
    kept = [
        line for line in file.read_text(encoding="utf-8").splitlines() if json.loads(line)["configuration"] == "bce"
    ]
    file.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    page = place_tables("<!-- table bccd-anchor/limit -->\n<!-- end -->", [each], tmp_path)
    assert "| `bce` | 1 |" in page and "`focal`" not in page
    with pytest.raises(DataError, match=r"scores\.jsonl does not exist; scripts/study\.py scores makes it"):
        place_tables("<!-- table bccd-anchor/scores -->\n<!-- end -->", [each], tmp_path)


def test_raw_results_do_not_name_folders_of_a_machine():
    """Paths are below the folder of the datasets."""
    for file in [*EVIDENCE.rglob("*.json"), *EVIDENCE.rglob("*.jsonl")]:
        assert not re.search(r"[\s\"'=]/\w", file.read_text(encoding="utf-8")), file
