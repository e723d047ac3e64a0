"""The findings of a comparison and the files they are written to."""

import csv
import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.comparison.comparisons import SPLIT, carry_out, plan
from yolo_focal.comparison.report.charts import axis
from yolo_focal.comparison.report.files import write_report
from yolo_focal.comparison.report.html import headline, signed
from yolo_focal.comparison.summary import _winner, summarise, summary_document
from yolo_focal.errors import DataError
from yolo_focal.evaluation.matches_file import load_matches, save_matches


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A comparison in which one configuration is much better and the other worse, its summary and what was printed."""
    comparison = plan(tmp_path_factory.mktemp("out"))
    summary = summarise(comparison, carry_out(comparison, {"focal": 1.5, "qfl": -1.5}), resamples=50)
    return summary, write_report(summary)


def test_large_differences_are_found_in_the_right_direction(reported):
    """Better is better, worse is worse, and the better one wins."""
    summary, printed = reported
    assert summary.verdicts["focal"][0].word == "better"
    assert summary.verdicts["qfl"][0].word == "worse"
    assert summary.winner.name == "focal"
    assert "Train with focal: it was shown to be better in AP." in printed


def test_the_winner_gains_most_and_not_by_the_seeds_it_lacks(tmp_path):
    """A better configuration that failed on the baseline's worst seed has the higher mean, and gains less."""
    comparison = plan(tmp_path / "out")
    found = summarise(comparison, carry_out(comparison, {"focal": 1.5, "qfl": 1.5}), resamples=50)

    def better(name, value, gained):
        first = found.verdicts[name][0]
        return [replace(first, word="better", difference=replace(first.difference, value=value, difference=gained))]

    verdicts = {"focal": better("focal", 0.43, 0.03), "qfl": better("qfl", 0.41, 0.05)}
    assert _winner(comparison, verdicts).name == "qfl"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0123, "+0.012"), (-0.0004, "−0.0004"), (0.0002, "+0.0002"), (0.0, "+0.000"), (float("nan"), "-")],
)
def test_a_difference_is_shown_on_its_side_of_zero(value, shown):
    """Also one that three decimals would round to zero."""
    assert signed(value) == shown


def test_the_winner_s_command_trains_it_as_it_was_trained(reported):
    """Every argument of the trials stands in the command, and it is one line for a shell."""
    summary, _ = reported
    words = shlex.split(summary.command)
    assert words[:3] == ["yolo-focal", "train", "model=yolo11n.yaml"]
    given = dict(word.split("=", 1) for word in words[2:])
    assert given["fl_loss"] == "focal" and given["epochs"] == "5" and given["data"] == "/data/cells.yaml"
    assert given["seed"] == "0"


def test_json_and_csv_say_the_same(reported):
    """The same numbers in both, baseline and verdict included."""
    summary, _ = reported
    document = json.loads((summary.plan.out / "summary.json").read_text())
    with (summary.plan.out / "results.csv").open(newline="") as file:
        rows = {(row["configuration"], row["metric"]): row for row in csv.DictReader(file)}
    for name in ("focal", "qfl"):
        for metric, result in document["configurations"][name]["results"].items():
            row = rows[name, metric]
            assert (
                float(row["difference"]) == result["difference"] == pytest.approx(result["mean"] - result["baseline"])
            )
            assert float(row["low"]) <= float(row["difference"]) <= float(row["high"])
            assert row["verdict"] == result["verdict"]
            assert float(rows["bce", metric]["mean"]) == result["baseline"]
    assert list(document["baseline"])[:5] == ["AP", "AP50", "AP frequent", "AP common", "AP rare"]
    assert "Holm" in document["statistics"]["correction"]


class Page(HTMLParser):
    """Which elements a page opens and closes, and everything it would load."""

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.elements = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """Note an element and what it loads."""
        self.elements.append(tag)
        self.loads += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]
        if tag not in ("meta", "wbr", "br", "link", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        """Note an element that closes itself."""
        self.elements.append(tag)

    def handle_endtag(self, tag):
        """Every end belongs to the last open start."""
        assert self.open.pop() == tag


def test_the_report_is_one_file_that_needs_nothing(reported):
    """Well-formed, nothing loaded from anywhere, no script, and made for narrow screens as well."""
    summary, _ = reported
    text = (summary.plan.out / "report.html").read_text()
    page = Page(text)
    assert page.open == [] and page.loads == []
    assert not {"script", "link", "iframe", "img"} & set(page.elements)
    assert not re.search(r"url\(|@import|https?://", text)
    assert 'name="viewport"' in text and "@media (max-width" in text


def test_the_report_shows_every_part(reported):
    """Verdicts, the correction, bars, curves, trials and the command."""
    summary, _ = reported
    text = (summary.plan.out / "report.html").read_text()
    for phrase in (
        "Train the winner",
        "focal against bce",
        "qfl against bce",
        "AP of every class",
        "Precision over recall",
    ):
        assert phrase in text
    assert "Holm" in text and "paired bootstrap over images and seeds" in text
    panels = 4 + 2  # all classes and each of three; mAP and box loss
    curves = 3 * (3 + 1)  # three configurations, a line per seed and their mean
    assert text.count("<svg") == panels and text.count("<path") == panels * curves


def test_the_cards_have_an_axis_as_wide_as_their_intervals(reported):
    """Zero is in the middle, and the interval that reaches furthest nearly reaches an end."""
    summary, _ = reported
    cards = (summary.plan.out / "report.html").read_text().partition("Train the winner")[0]
    bands = re.findall(r'class="range" style="left:([\d.]+)%;width:([\d.]+)%"', cards)
    assert len(bands) == 2 and cards.count('class="zero" style="left:50.00%"') == 2
    reach = max(max(50 - float(left), float(left) + float(width) - 50) for left, width in bands)
    assert 40 < reach < 50


def test_names_from_data_are_text_not_markup(reported):
    """A class name or an error message cannot become an element of the page."""
    summary, _ = reported
    text = (summary.plan.out / "report.html").read_text()
    assert "dot &lt;b&gt;" in text and "dot <b>" not in text


def test_equal_configurations_leave_the_baseline_standing(tmp_path):
    """Nothing shown, nothing recommended; the open question comes with advice or the reason why not."""
    comparison = plan(tmp_path, "focal")
    printed = write_report(summarise(comparison, carry_out(comparison, {}), resamples=50))
    assert "Stay with bce: nothing was shown to be better in AP." in printed
    assert re.search(r"focal: cannot tell: (would likely take|too small a difference)", printed)


def test_a_failed_trial_takes_its_seed_out_and_is_shown(tmp_path):
    """Its partner is left out of the difference; error and count stand in the report."""
    comparison = plan(tmp_path, "focal")
    summary = summarise(comparison, carry_out(comparison, {"focal": 1.0}, failing=(("focal", 1),)), resamples=50)
    printed = write_report(summary)
    assert summary.verdicts["focal"][0].difference.components.seeds == 2
    assert json.loads((tmp_path / "summary.json").read_text())["configurations"]["focal"]["seeds"] == [0, 2]
    assert "FAILED focal seed 1: RuntimeError" in printed
    text = (tmp_path / "report.html").read_text()
    assert "1 trial failed" in text and "&lt;script&gt;out of memory" in text


def test_seeds_are_counted_that_the_baseline_has_too(tmp_path):
    """Its failure takes the seed out of every difference."""
    comparison = plan(tmp_path, "focal")
    summary = summarise(comparison, carry_out(comparison, {}, failing=(("bce", 1),)), resamples=50)
    found = summary_document(summary)["configurations"]["focal"]["seeds"]
    assert found == [0, 2] and summary.verdicts["focal"][0].difference.components.seeds == len(found)


def test_trials_of_a_split_that_changed_are_not_paired(tmp_path):
    """One trial evaluated on fewer images, or on other objects: no difference is made of it."""
    comparison = plan(tmp_path, "focal")
    journal = carry_out(comparison, {})
    file = comparison.trials()[-1].folder / "matches.npz"
    whole = load_matches(file)
    for changed in (
        replace(whole, images=whole.images + 1),
        replace(whole, object_category=np.roll(whole.object_category, 1)),
    ):
        save_matches(file, changed)
        with pytest.raises(DataError, match=r"focal seed 2 was evaluated on .* the split has changed since"):
            summarise(comparison, journal, resamples=50)


def test_a_class_with_the_name_of_a_bucket_is_told_from_it(tmp_path):
    """Both are in summary.json, each with its own number, and the class alone has its counts in the report."""
    split = replace(SPLIT, classes=("cell", "rare", "ring"))
    comparison = replace(plan(tmp_path, "focal"), split=split)
    summary = summarise(comparison, carry_out(comparison, {"focal": 1.0}), resamples=50)
    write_report(summary)
    results = json.loads((tmp_path / "summary.json").read_text())["configurations"]["focal"]["results"]
    assert len(results) == len(summary.metrics.names) == len(set(summary.metrics.names))
    assert results["AP rare"]["mean"] == pytest.approx(results["AP ring"]["mean"])
    assert results["AP class rare"]["mean"] != pytest.approx(results["AP ring"]["mean"])
    page = (tmp_path / "report.html").read_text()
    assert page.count("300 in training") == page.count("900 in training") > 0


def test_every_curve_has_a_colour(tmp_path):
    """More configurations than colours: the second round is dashed."""
    losses = ",".join(f"focal:fl_gamma={gamma}" for gamma in range(1, 10))
    comparison = plan(tmp_path, losses, seeds=1)
    write_report(summarise(comparison, carry_out(comparison, {}), resamples=50))
    page = (tmp_path / "report.html").read_text()
    used = set(re.findall(r'class="curve (s\d+)', page))
    assert len(used) == 10 and used == set(re.findall(r"\.(s\d+) \{ stroke", page))
    assert len(re.findall(r"stroke-dasharray", page.partition("</style>")[0])) >= 2


def test_the_command_keeps_the_spaces_of_a_path(tmp_path):
    """Only those of lists are left out."""
    comparison = replace(plan(tmp_path, "focal:fl_alpha=[0.1,0.2,0.3]"), data="/my data/cells.yaml")
    command = summarise(comparison, carry_out(comparison, {"focal:fl_alpha=[0.1,0.2,0.3]": 1.5}), resamples=50).command
    words = shlex.split(command)
    assert "data=/my data/cells.yaml" in words and "fl_alpha=[0.1,0.2,0.3]" in words


@pytest.mark.parametrize("name", ["bce", "focal"])
def test_without_any_pair_there_is_still_a_report(tmp_path, name):
    """All trials of one side failed: nothing is compared, and that is said."""
    comparison = plan(tmp_path, "focal")
    journal = carry_out(comparison, {}, failing=tuple((name, seed) for seed in range(3)))
    printed = write_report(summarise(comparison, journal, resamples=50))
    assert "Nothing can be compared: no pair of trials with bce finished." in printed
    assert "Nothing can be compared" in (tmp_path / "report.html").read_text()


def test_one_seed_is_said_to_be_too_few(tmp_path):
    """An interval over images is shown, a verdict is not."""
    comparison = plan(tmp_path, "focal", seeds=1)
    summary = summarise(comparison, carry_out(comparison, {"focal": 1.5}), resamples=50)
    assert summary.verdicts["focal"][0].word == "cannot tell"
    assert "give seeds=3 or more" in write_report(summary)
    assert np.isfinite(summary.verdicts["focal"][0].difference.low)


def test_precision_recall_means_equal_the_measured_ap(reported):
    """The drawn curves are COCO's: their mean height over recalls is AP50."""
    from yolo_focal.comparison.report.charts import _precision_by_class

    summary, _ = reported
    for name, trials in summary.matches.items():
        for place, matches in enumerate(trials.values()):
            measured = summary.measured[name].value[place, summary.metrics.names.index("AP50")]
            assert np.nanmean(_precision_by_class(matches)) == pytest.approx(measured, abs=1e-12)


@pytest.mark.parametrize(("low", "high"), [(-0.031, 0.022), (0, 0.57), (1.3, 1.3), (-4, 9000), (0.1, 0.10001)])
def test_axes_hold_their_numbers(low, high):
    """Ends enclose the data, ticks lie between the ends at equal steps, and there are few."""
    first, last, numbers = axis(low, high)
    assert first <= low and high <= last
    assert numbers[0] == pytest.approx(first) and numbers[-1] == pytest.approx(last)
    assert 2 <= len(numbers) <= 8 and np.ptp(np.diff(numbers)) < 1e-9 * max(abs(first), abs(last), 1)


def test_buckets_are_named_in_every_output(reported):
    """AP of frequent, common and rare classes is that of their members."""
    summary, _ = reported
    names = summary.metrics.names
    values = summary.measured["bce"].value.mean(0)
    for bucket, name in zip(SPLIT.buckets, SPLIT.classes, strict=True):
        assert values[names.index(f"AP {bucket}")] == pytest.approx(values[names.index(f"AP {name}")])


def test_map_that_was_not_measured_is_not_drawn(tmp_path):
    """Without validation during training, results.csv has zeros for it."""
    comparison = plan(tmp_path, "focal", val=False)
    write_report(summarise(comparison, carry_out(comparison, {}), resamples=50))
    text = (tmp_path / "report.html").read_text()
    assert "box loss in training" in text and "on the validation split" not in text


@pytest.mark.parametrize(
    "harm", [b"\xff\xfe", b"epoch,train/box_loss\n1,3.0\n2,0x\n", b"epoch,train/box_loss\n1,\x00\n"]
)
def test_a_damaged_log_of_a_training_is_not_drawn(tmp_path, harm):
    """Nothing else rests on results.csv: the others are drawn, and the comparison ends."""
    comparison = plan(tmp_path, "focal", val=False)
    journal = carry_out(comparison, {})
    (comparison.trials()[0].folder / "run" / "results.csv").write_bytes(harm)
    write_report(summarise(comparison, journal, resamples=50))
    assert "box loss in training" in (tmp_path / "report.html").read_text()


def test_a_comparison_in_which_nothing_was_learnt_has_no_winner(tmp_path):
    """Differences of trainings that are all at AP 0 mean nothing."""
    comparison = plan(tmp_path / "out", losses="focal", seeds=2)
    found = summarise(comparison, carry_out(comparison, {"focal": 3.0}), resamples=50)
    measured = {name: replace(each, value=each.value * 0) for name, each in found.measured.items()}
    void = replace(found, measured=measured)
    assert headline(void).startswith("Nothing was learnt: no configuration reaches an AP of 0.005.")
    assert "Train it:" not in write_report(void)
    assert "Train the winner" not in (tmp_path / "out/report.html").read_text()
    won = replace(found, winner=comparison.configurations[1])
    assert "Train it:" in write_report(won) and "Train the winner" in (tmp_path / "out/report.html").read_text()
