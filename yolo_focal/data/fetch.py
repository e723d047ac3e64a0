"""COCO 2017 over the network: the annotation file of a split, and only those images that are needed."""

import http.client
import shutil
import urllib.request
import zipfile
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from yolo_focal.data.progress_bar import open_bar, progress_bar
from yolo_focal.errors import DataError, reason_of
from yolo_focal.files import replace_file

__all__ = ["COCO_SERVER", "fetch_annotations", "fetch_images", "image_url"]

COCO_SERVER = "http://images.cocodataset.org"
ARCHIVE = "annotations/annotations_trainval2017.zip"
PARALLEL_DOWNLOADS = 8


def fetch_annotations(split: str, folder: Path, *, server: str = COCO_SERVER) -> Path:
    """`folder`/annotations/instances_SPLIT.json, downloaded if it is not there yet.

    Raises:
        DataError: no network; the message says which file to put where.
    """
    target = folder / "annotations" / f"instances_{split}.json"
    if target.is_file():
        return target
    archive = folder / Path(ARCHIVE).name
    _download(f"{server}/{ARCHIVE}", archive, f"unpack that file so that {target} exists", progress=True)
    try:
        with (
            zipfile.ZipFile(archive) as content,
            content.open(f"annotations/{target.name}") as source,
            replace_file(target) as temporary,
            temporary.open("wb") as copy,
        ):
            shutil.copyfileobj(source, copy)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise DataError(
            f"{server}/{ARCHIVE} did not contain {target.name}; put the file at {target} yourself"
        ) from error
    finally:
        archive.unlink(missing_ok=True)
    return target


def image_url(split: str, file_name: str, *, server: str = COCO_SERVER) -> str:
    """The address of an image of a COCO 2017 split."""
    return f"{server}/{split}/{Path(file_name).name}"


def fetch_images(urls: Mapping[Path, str]) -> None:
    """Download every address to its path, several at a time; files that exist are left alone.

    Raises:
        DataError: one of them cannot be had; the message says which file to put where.
    """
    wanted = [(path, url) for path, url in urls.items() if not path.is_file()]

    def fetch(pair: tuple[Path, str]) -> None:
        path, url = pair
        _download(url, path, f"put the image at {path}")

    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        for _ in progress_bar(pool.map(fetch, wanted), "downloading images", total=len(wanted)):
            pass


def _download(url: str, path: Path, remedy: str, *, progress: bool = False) -> None:
    """Bring `url` to `path`, whole or not at all: urlretrieve compares what came with what the server announced."""
    bars: list[Any] = []

    def show(blocks: int, block_bytes: int, total: int) -> None:
        if not bars:
            bars.append(open_bar(total if total > 0 else None, f"downloading {path.name}", unit="B"))
        bars[0].update(blocks * block_bytes - bars[0].n)

    try:
        with replace_file(path) as temporary:
            urllib.request.urlretrieve(url, temporary, show if progress else None)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise DataError(
            f"cannot download {url} ({reason_of(error)}); with a network try again, without one {remedy}"
        ) from error
    finally:
        for bar in bars:
            bar.close()
