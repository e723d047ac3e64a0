"""The site: its reference is complete, it is built without a warning, and it asks no other host for anything."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import yolo_focal
from yolo_focal import api, losses, results

ROOT = Path(__file__).parents[1]
LOADED = re.compile(
    r"""<(?:(?:script|img|iframe|source)\b[^>]*\bsrc|link\b[^>]*\brel=["']?(?:stylesheet|preconnect)\b[^>]*\bhref)"""
    r"""=["']?((?:https?:)?//[^"'\s>]+)"""
)


def described(page):
    """The names that a page of the reference describes, and their modules."""
    text = (ROOT / "docs/reference" / page).read_text(encoding="utf-8")
    return set(re.findall(r"^::: (\S+)$", text, flags=re.MULTILINE))


def test_the_reference_describes_every_public_name():
    """Functions, results and losses, by what the modules export."""
    functions = set(yolo_focal.__all__) - {"__version__", "enable", "disable"}
    assert described("api.md") == {"yolo_focal.enable", "yolo_focal.disable"} | {
        f"{api.__name__}.{n}" for n in functions
    }
    assert described("results.md") == {f"{results.__name__}.{name}" for name in results.__all__}
    assert described("losses.md") - {"yolo_focal.losses.module.SigmoidLoss"} == {
        f"{losses.__name__}.{name}" for name in losses.__all__
    }


def test_what_a_browser_would_load_is_found():
    """Pictures, scripts and style sheets of other hosts are; own ones and links to follow are not."""
    page = """<img alt=a src="https://a.b/c.png"><script src=//a.b/c.js></script><link rel="stylesheet" href="http://a.b/c">
        <a href="https://a.b/">x</a><img src="c.png"><link rel="stylesheet" href="c.css">"""
    assert LOADED.findall(page) == ["https://a.b/c.png", "//a.b/c.js", "http://a.b/c"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mkdocs") is None, reason="needs the extra docs")
def test_the_site_is_built_and_asks_no_other_host(tmp_path):
    """`mkdocs build --strict` ends well; no page of it loads anything from elsewhere."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 20
    assert {page.name: LOADED.findall(page.read_text(encoding="utf-8")) for page in pages} == {
        page.name: [] for page in pages
    }
