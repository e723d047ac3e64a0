"""Shells complete commands, arguments and their values; each is asked itself."""

import os
import select
import shlex
import shutil
import subprocess
import time

import pytest

from yolo_focal import cli
from yolo_focal.arguments.commands import COMMANDS, SHELLS
from yolo_focal.arguments.training_keys import TRAINING_KEYS
from yolo_focal.ultra import host
from yolo_focal.ultra.default_arguments import default_arguments

INTERACTIVE = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source {script}"),
    "zsh": (["zsh", "-f", "-i"], "autoload -U compinit; compinit -u -D; source {script}"),
}


@pytest.fixture
def script(tmp_path, capsys):
    """A file with the script of a shell, which has to be installed."""

    def write(shell):
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed")
        assert cli.main(["completion", shell]) == 0
        path = tmp_path / f"completion.{shell}"
        path.write_text(capsys.readouterr().out, encoding="utf-8")
        return path

    return write


@pytest.fixture
def in_bash(script, tmp_path):
    """What bash offers for a line with the cursor at its end; words are broken as bash does."""
    source, folder = script("bash"), tmp_path / "here"
    folder.mkdir()
    (folder / "my set.yaml").touch()

    def offered(line, breaks=" \t\n\"'><=;|&(:"):
        words = line.replace("=", " = ").split(" ") if "=" in breaks else line.split(" ")
        program = (
            f"source {source}; COMP_WORDBREAKS={shlex.quote(breaks)}; COMP_LINE={shlex.quote(line)}; "
            f"COMP_POINT={len(line)}; COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}; "
            "_yolo_focal 2>/dev/null; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, cwd=folder, check=True)
        return done.stdout.splitlines()

    return offered


def test_bash_completes_first_words(in_bash):
    """Commands of this package and of Ultralytics, with the space that ends them."""
    assert in_bash("yolo-focal cali") == ["calibrate "]
    assert {f"{name} " for name in COMMANDS} | {"train ", "export "} <= set(in_bash("yolo-focal "))


def test_bash_completes_arguments(in_bash):
    """A command's own, those of a training, and those of Ultralytics; no space before the value."""
    assert in_bash("yolo-focal evaluate buck") == ["buckets="]
    assert set(in_bash("yolo-focal train fl_")) == {f"{name}=" for name in TRAINING_KEYS if name.startswith("fl_")}
    assert in_bash("yolo-focal train model=a.pt cos") == ["cos_lr="]
    assert in_bash("yolo-focal doctor fl_gam") == in_bash("yolo-focal demo fl_gam") == ["fl_gamma="]
    assert (
        in_bash("yolo-focal evaluate fl_")
        == in_bash("yolo-focal compare fl_")
        == in_bash("yolo-focal compare cls_pw")
        == [""]
    )
    assert in_bash("yolo-focal help dem") == ["demo "]
    assert in_bash("yolo-focal completion z") == ["zsh "]


def test_bash_completes_values(in_bash):
    """Where they are words of a table, by command; else files, of names with spaces too."""
    assert in_bash("yolo-focal train fl_loss=q") == ["qfl "]
    assert in_bash("yolo-focal train cfg=retina") == ["retinanet "]
    assert in_bash("yolo-focal compare engine=") == ["local ", "ray "]
    assert in_bash("yolo-focal evaluate engine=p") == ["pycocotools "]
    assert in_bash("yolo-focal train data=my") == ["my set.yaml"]


def test_bash_may_be_set_to_keep_words_whole(in_bash):
    """Then the whole word is what is replaced."""
    assert in_bash("yolo-focal train fl_loss=q", breaks=" \t\n") == ["fl_loss=qfl "]


@pytest.mark.parametrize("shell", INTERACTIVE)
def test_the_tab_key_completes(script, tmp_path, shell):
    """In a shell at a terminal: an argument, then its value."""
    pytest.importorskip("pty")
    argv, setup = INTERACTIVE[shell]
    sourced = setup.format(script=script(shell))  # skips before a shell that is not installed would be started
    with Terminal(argv, str(tmp_path)) as terminal:
        terminal.type(f"{sourced}; echo re''ady\n", until="ready")
        terminal.type("yolo-focal train fl_lo\t", until="fl_loss=")
        terminal.type("q\t", until="qfl ")


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, argv, folder):
        import pty

        self._screen, inside = pty.openpty()
        environment = {**os.environ, "TERM": "dumb", "HOME": folder, "PS1": "$ "}
        ends = {"stdin": inside, "stdout": inside, "stderr": inside}
        self._program = subprocess.Popen(argv, cwd=folder, env=environment, start_new_session=True, **ends)
        os.close(inside)

    def __enter__(self):
        return self

    def type(self, text, until):
        """Type `text` and wait for `until` on the screen."""
        os.write(self._screen, text.encode())
        seen, end = "", time.monotonic() + 20
        while until not in seen:
            assert time.monotonic() < end, seen
            if select.select([self._screen], [], [], 1)[0]:
                seen += os.read(self._screen, 65536).decode(errors="replace")

    def __exit__(self, *_):
        self._program.kill()
        self._program.wait()
        os.close(self._screen)


def test_fish_completes(script):
    """The same words, with a line about each."""
    source = script("fish")

    def offered(line):
        program = f"source {source}; complete -C {shlex.quote(line)}"
        return subprocess.run(["fish", "-N", "-c", program], capture_output=True, text=True, check=True).stdout

    assert offered("yolo-focal cali") == f"calibrate\t{COMMANDS['calibrate'].summary}\n"
    assert offered("yolo-focal train fl_gam") == f"fl_gamma=\t{TRAINING_KEYS['fl_gamma'].help}\n"
    assert offered("yolo-focal train fl_loss=q") == "fl_loss=qfl\n"


def test_the_arguments_of_ultralytics_are_those_of_the_installed_version():
    """Read from its file, they are what it has when it is imported."""
    assert default_arguments() == host.DEFAULT_CFG_DICT


@pytest.mark.parametrize("words", [[], ["ksh"]])
def test_another_shell_is_refused(words, capsys):
    """With the names of those there are."""
    assert cli.main(["completion", *words]) == 2
    assert "one of bash, zsh, fish" in capsys.readouterr().err
    assert set(SHELLS) == {"bash", "zsh", "fish"}
