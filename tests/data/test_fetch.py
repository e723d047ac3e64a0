"""Downloading COCO 2017: only what is needed, and clear words where there is no network."""

import functools
import http.server
import json
import shutil
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.data.coco_files import one_image, write_coco
from yolo_focal.data.fetch import fetch_annotations, fetch_images
from yolo_focal.data.selection import SelectionRules
from yolo_focal.data.subset import CocoSource, SubsetOptions, make_subset
from yolo_focal.data.yolo import read_data_yaml
from yolo_focal.errors import DataError

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing answers
subset = functools.partial(make_subset)


@pytest.fixture
def image_server(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A web server over `tmp_path`/web, with the list of paths it was asked for."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    (tmp_path / "web").mkdir()
    handler = functools.partial(Handler, directory=str(tmp_path / "web"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def test_only_the_chosen_images_are_downloaded(tmp_path: Path, image_server: tuple[str, list[str]]) -> None:
    """With a server, images that are neither on disk nor chosen are never asked for."""
    server, asked = image_server
    boxes = [{"image_id": number, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81} for number in range(1, 7)]
    source = write_coco(tmp_path / "source", dict.fromkeys(range(1, 7), (32, 32)), boxes, {1: "thing"})
    shutil.copytree(source.images, tmp_path / "web" / "val2017")
    remote = CocoSource(source.annotations, tmp_path / "cache" / "val2017", server)
    subset(remote, tmp_path / "set", SubsetOptions(rules=SelectionRules(max_images=2)))
    placed = sorted(path.name for path in (tmp_path / "set" / "images" / "train").iterdir())
    assert len(placed) == 2
    assert sorted(asked) == [f"/val2017/{name}" for name in placed]
    assert read_data_yaml(tmp_path / "set" / "data.yaml").names == ("thing",)


def test_a_download_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """The server announces more than it sends: an error, no file, and the next call asks again."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"x" * 1000)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/a.jpg"
        with pytest.raises(DataError, match=r"cannot download .*1000 out of 100000 bytes"):
            fetch_images({tmp_path / "images" / "a.jpg": url})
    finally:
        server.shutdown()
        server.server_close()
    assert not list(tmp_path.iterdir())


def test_without_a_network_the_message_says_what_to_put_where(tmp_path: Path) -> None:
    """A server that does not answer ends in one line with the address and the file to place."""
    source = one_image(tmp_path / "source", [[0, 0, 9, 9]])
    remote = CocoSource(source.annotations, tmp_path / "cache" / "val2017", NOBODY)
    with pytest.raises(
        DataError, match=r"cannot download http://127.0.0.1:9/val2017/0001.png .*put the image at .*0001"
    ):
        subset(remote, tmp_path / "set", SubsetOptions())
    assert not (tmp_path / "set").exists()


def test_annotations_come_out_of_the_archive_once(tmp_path: Path, image_server: tuple[str, list[str]]) -> None:
    """The archive is downloaded and unpacked; the second call finds the file and asks nobody."""
    server, asked = image_server
    (tmp_path / "web" / "annotations").mkdir()
    with zipfile.ZipFile(tmp_path / "web" / "annotations" / "annotations_trainval2017.zip", "w") as archive:
        archive.writestr("annotations/instances_val2017.json", json.dumps({"images": []}))
    first = fetch_annotations("val2017", tmp_path / "coco", server=server)
    assert json.loads(first.read_text()) == {"images": []}
    assert fetch_annotations("val2017", tmp_path / "coco", server=server) == first
    assert asked == ["/annotations/annotations_trainval2017.zip"]
    with pytest.raises(DataError, match=r"did not contain instances_train2017.json; put the file at"):
        fetch_annotations("train2017", tmp_path / "coco", server=server)


def test_without_a_network_annotations_have_a_place_to_be_put(tmp_path: Path) -> None:
    """The message has the address of the archive and the path of the file wanted."""
    with pytest.raises(DataError, match=r"trainval2017.zip .*unpack that file so that .*val2017.json"):
        fetch_annotations("val2017", tmp_path / "coco", server=NOBODY)


def test_an_answer_that_is_no_web_page_is_one_line(tmp_path: Path) -> None:
    """As of a proxy that speaks another protocol."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail ready\r\n")

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.jpg"
        with pytest.raises(DataError, match=r"cannot download http://127.0.0.1:\d+/a.jpg \(220 mail ready\); with a "):
            fetch_images({tmp_path / "images" / "a.jpg": url})


def test_a_damaged_archive_is_one_line(tmp_path: Path, image_server: tuple[str, list[str]]) -> None:
    """Bytes that cannot be unpacked."""
    server, _ = image_server
    archive = tmp_path / "web" / "annotations" / "annotations_trainval2017.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
        content.writestr("annotations/instances_val2017.json", json.dumps(list(range(1000))))
    whole = bytearray(archive.read_bytes())
    whole[80:90] = b"\xff" * 10
    archive.write_bytes(whole)
    with pytest.raises(DataError, match=r"instances_val2017.json; put the file at"):
        fetch_annotations("val2017", tmp_path / "coco", server=server)
