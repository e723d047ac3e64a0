"""What maintainers and their machines read is true: workflows, templates, CONTRIBUTING, CITATION and the container."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from benchmarks.check_versions import CONTRACT, OLDEST_SUPPORTED
from yolo_focal import __version__, cli
from yolo_focal.arguments.commands import COMMANDS
from yolo_focal.ultra import host

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
YAML_FILES = [
    *sorted(path for path in (ROOT / ".github").rglob("*.yml")),
    ROOT / ".pre-commit-config.yaml",
    ROOT / "CITATION.cff",
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROSE = [CONTRIBUTING, (ROOT / "SECURITY.md").read_text(encoding="utf-8"), (ROOT / "Dockerfile").read_text("utf-8")]
EXTRA = re.compile(r'(?:pip install (?:-e )?["\']?(?:\.|yolo_focal))\[(\w+)\]')


def read(path):
    """The content of a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow):
    """All steps of a workflow."""
    return [step for job in read(WORKFLOWS[workflow])["jobs"].values() for step in job.get("steps", ())]


SHELL = [step["run"] for workflow in WORKFLOWS for step in steps(workflow) if "run" in step]


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_every_yaml_file_parses(path):
    """Into a mapping; one key does not stand twice in it."""
    assert isinstance(read(path), dict)
    top = re.findall(r"^(\w[\w-]*):", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(top) == len(set(top))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_job_can_run(name):
    """It has a machine and steps that each do one thing, or is another workflow of the folder; what it needs exists."""
    jobs = read(WORKFLOWS[name])["jobs"]
    for job in jobs.values():
        needs = job.get("needs", [])
        assert set([needs] if isinstance(needs, str) else needs) <= set(jobs)
        if "uses" in job:
            called = read(ROOT / job["uses"])
            assert "workflow_call" in called[True]  # YAML 1.1 takes the key "on" for a truth value
        else:
            assert job["runs-on"] and job["steps"]
            assert all(("run" in step) != ("uses" in step) for step in job["steps"])


def test_the_workflows_are_these():
    """Tests, docs, package, and release, which starts the third."""
    assert set(WORKFLOWS) == {"tests", "docs", "package", "release"}


def test_every_extra_that_is_named_exists():
    """In workflows, in CONTRIBUTING and in the container."""
    named = {extra for text in (*SHELL, *PROSE) for extra in EXTRA.findall(text)}
    assert {"test", "docs"} <= named
    if not (ROOT / "mkdocs.yml").exists():
        named.discard("docs")  # the site comes with its own extra
    assert named <= set(PROJECT["optional-dependencies"])


def test_every_command_of_the_workflows_is_accepted(monkeypatch):
    """Only the work itself is left out."""
    seen = set()
    for words in (shlex.split(line) for text in SHELL for line in text.splitlines()):
        if words and words[0] == "yolo-focal":
            if words[1] in COMMANDS:
                monkeypatch.setattr(f"yolo_focal.commands.{words[1]}.run", lambda arguments: 0)
            assert cli.main(words[1:]) == 0
            seen.add(words[1])
    assert seen == {"--version", "demo"}


def test_the_matrix_is_what_the_package_promises():
    """All Python versions of the classifiers, and the oldest and the newest supported Ultralytics."""
    matrix = read(WORKFLOWS["tests"])["jobs"]["tests"]["strategy"]["matrix"]
    classified = re.findall(r":: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert matrix["python"] == classified and f">={classified[0]}" == PROJECT["requires-python"]
    oldest = ".".join(map(str, OLDEST_SUPPORTED))
    assert matrix["ultralytics"] == [f"ultralytics=={oldest}", "ultralytics"]
    assert [(row["ultralytics"], row["tests"].split()) for row in matrix["include"]] == [
        (f"ultralytics=={oldest}", list(CONTRACT))
    ]
    assert f"ultralytics>={oldest}" == host.SUPPORTED and host.SUPPORTED in PROJECT["dependencies"]


def test_the_checks_before_a_commit_are_those_of_the_workflow():
    """Ruff, its formatter and mypy, as the test extra installs them."""
    hooks = read(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]
    assert [hook["id"] for hook in hooks] == ["ruff", "ruff-format", "mypy"]
    programs = {hook["entry"].split()[0] for hook in hooks}
    extra = " ".join(PROJECT["optional-dependencies"]["test"])
    assert all(program in extra for program in programs)
    assert {"ruff check .", "ruff format --check .", "mypy"} <= set(SHELL)


def test_the_citation_is_of_this_version():
    """Version, licence and address are the package's."""
    citation = read(ROOT / "CITATION.cff")
    assert (citation["version"], citation["license"]) == (__version__, PROJECT["license"])
    assert citation["repository-code"] == PROJECT["urls"]["Homepage"]
    assert citation["authors"][0]["name"] == PROJECT["authors"][0]["name"]


def test_all_addresses_are_of_one_repository():
    """Those of the package lie under its home; the site is the one that mkdocs.yml builds."""
    urls = dict(PROJECT["urls"])
    site, home = urls.pop("Documentation"), urls["Homepage"]
    assert set(urls) == {"Homepage", "Changelog", "Issues"} and all(url.startswith(home) for url in urls.values())
    owner, name = home.removeprefix("https://github.com/").split("/")
    assert site == f"https://{owner}.github.io/{name}/"
    if (ROOT / "mkdocs.yml").exists():
        assert f"site_url: {site}" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def rooms_shown():
    """The folders of the tree in CONTRIBUTING, as paths, each with its line."""
    block = re.search(r"^```\n(yolo_focal/\n.*?)```", CONTRIBUTING, re.MULTILINE | re.DOTALL)[1]
    shown, above = {}, []
    for indent, name, says in re.findall(r"^( *)(\S+)/ *(.*)$", block, re.MULTILINE):
        above[len(indent) // 2 :] = [name]
        shown["/".join(above)] = says
    return shown


def test_the_rooms_in_contributing_are_the_folders():
    """Every folder of the package has its line, and every line its folder."""
    shown = rooms_shown()
    assert all((ROOT / room).is_dir() for room in shown)
    packages = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "yolo_focal").rglob("__init__.py")}
    assert {room for room in shown if room.startswith("yolo_focal")} == packages
    assert all(says for room, says in shown.items() if room != "yolo_focal")


def test_the_files_that_contributing_names_exist():
    """Every path between backticks, and every program that it runs."""
    text = re.sub(r"^```.*?^```", "", CONTRIBUTING, flags=re.MULTILINE | re.DOTALL)
    spans = [word for span in re.findall(r"`([^`]+)`", text) for word in span.split()]
    paths = {word for word in spans if re.fullmatch(r"[\w./-]+\.(py|md|cff|yaml)|[\w.]+/[\w/]*", word)}
    assert len(paths) > 20
    missing = [path for path in paths if "NAME" not in path and not places(path)]
    assert missing == []


def places(path):
    """Where a path of CONTRIBUTING may lie: in the repository, or a bare name in the room it is about."""
    return [place for place in (ROOT / path, ROOT / "yolo_focal" / path) if place.exists()]


def test_the_markers_in_contributing_are_those_of_pytest(pytestconfig):
    """Both kinds of tests that are left out."""
    known = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    named = set(re.findall(r"^\| `(\w+)` \|", CONTRIBUTING, re.MULTILINE))
    assert named and named == {marker for marker in known if f"not {marker}" in pytestconfig.getini("addopts")[-1]}


def test_what_the_commands_write_is_no_part_of_the_repository():
    """Datasets, runs and checkpoints, wherever in it they are written."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    written = ["datasets/shapes-v1/shapes.yaml", "runs/demo/report.md", "yolo11n.pt", "docs/runs/x"]
    found = subprocess.run(["git", "check-ignore", *written], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == written


def test_the_container_has_what_it_copies_and_the_package_needs():
    """Every file it copies from the checkout exists and is not left out of its context."""
    lines = PROSE[2].splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    assert {"pyproject.toml", "cfg", "yolo_focal"} <= set(copied)
    assert all((ROOT / name).exists() for name in copied)
    context = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {f"!{name}" for name in copied} <= set(context)
    assert any(line.startswith("ARG TORCH=") for line in lines) and 'ENTRYPOINT ["yolo-focal"]' in lines
