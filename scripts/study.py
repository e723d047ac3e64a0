"""Carry out the study of docs/evidence.md, a comparison for each file of cfg/study, and make its tables and plots.

python scripts/study.py plan                                    # what is missing, and the hours that it will take
python scripts/study.py run only=shapes scale=0.1               # a smoke test: a tenth of the epochs and seeds
python scripts/study.py run datasets=~/datasets                 # all of it; what is there is never repeated
python scripts/study.py scores only=shapes-3x                   # what scores are worth, before and after calibrate
python scripts/study.py nms_free only=shapes-end2end            # the branch of an end-to-end head without NMS
python scripts/study.py limit only=bccd-anchor                  # what NMS's time limit loses, on an idle machine
python scripts/study.py tables                                  # raw results, tables and plots for docs/evidence.md
"""

import sys
from pathlib import Path
from typing import Any

from studies.checkpoints import run_limit, run_nms_free, run_scores
from studies.definition import read_studies
from studies.page import make_tables
from studies.raw_results import LIMIT, NMS_FREE, SCORES
from studies.trainings import run_studies, show_plan
from yolo_focal.arguments.key import Key, in_range, number, one_of, path, text, text_list
from yolo_focal.commands.exit_codes import run_script

ROOT = Path(__file__).resolve().parents[1]
_OF_CHECKPOINTS = {SCORES: run_scores, NMS_FREE: run_nms_free, LIMIT: run_limit}
ACTIONS = ("plan", "run", *_OF_CHECKPOINTS, "tables")
ARGUMENTS = (
    Key(
        "do",
        "plan",
        f"{', '.join(ACTIONS)}; may stand alone, as the first word",
        one_of(ACTIONS),
        text,
        leading=True,
    ),
    Key("only", [], "studies: names of cfg/study, or YAML files of your own; all by default", read=text_list),
    Key("scale", 1.0, "of epochs and seeds; 1 is the study", number(lambda scale: 0 < scale <= 10, "in (0, 10]")),
    Key("out", Path("runs/study"), "folder of the comparisons", read=path),
    Key("datasets", Path(), "folder of the datasets and weights that are not built in", read=path),
    Key("device", "cpu", "as for yolo: cpu, 0, ...", read=text),
    Key("engine", "local", "local: one trial at a time; ray: a Ray cluster", one_of(("local", "ray")), text),
    Key("parallel", 2, "engine=ray: trials at a time", in_range(int, 1)),
    Key("docs", ROOT / "docs", "folder of evidence.md, for tables", read=path),
)


def main(arguments: dict[str, Any]) -> int:
    """Do what was asked."""
    studies = read_studies(arguments["only"], arguments["scale"])
    if arguments["do"] == "run":
        return run_studies(studies, arguments)
    {"plan": show_plan, **_OF_CHECKPOINTS, "tables": make_tables}[arguments["do"]](studies, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, main))
