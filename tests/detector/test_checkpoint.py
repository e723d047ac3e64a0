"""Original checkpoints are read without running them, and everything else is refused by name."""

import io
import pickle
import zipfile

import pytest
import torch

from yolo_focal.detector.checkpoint import read_original
from yolo_focal.errors import CheckpointError

REMEDY = "give an original YOLOv5 v6.0 to v7.0 detection checkpoint"


@pytest.fixture(scope="module")
def original(shared):
    """The genuine YOLOv5n checkpoint."""
    return shared / "weights" / "yolov5n.pt"


def refusal(path):
    """The one-line message of the refusal."""
    with pytest.raises(CheckpointError) as caught:
        read_original(path)
    message = str(caught.value)
    assert "\n" not in message and REMEDY in message
    return message


def rewritten(source, target, changed):
    """A copy of a torch archive in which `changed` replaces the bytes of data.pkl."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry.filename, changed(content) if entry.filename.endswith("/data.pkl") else content)
    return target


def test_the_genuine_checkpoint_is_read(original):
    """Weights, anchors in pixels, strides, names and scale are those of YOLOv5n."""
    found = read_original(original)
    learned = [v for name, v in found.state.items() if "running" not in name and "num_batches" not in name]
    assert sum(v.numel() for v in learned) == 1_872_157
    assert found.anchors[0] == ((10, 13), (16, 30), (33, 23)) and found.anchors[2][2] == (373, 326)
    assert found.strides == (8, 16, 32) and (found.depth, found.width) == (0.33, 0.25)
    assert len(found.names) == 80 and found.names[0] == "person" and not found.fused


def test_reading_does_not_widen_what_torch_accepts(original):
    """The stand-ins are allowed during the read only."""
    before = set(torch.serialization.get_safe_globals())
    read_original(original)
    assert set(torch.serialization.get_safe_globals()) == before


class Payload:
    """Would run a command when unpickled."""

    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/never",)


def test_a_foreign_global_is_refused_by_name_and_nothing_runs(tmp_path):
    """The name of what the file asked for is in the message."""
    path = tmp_path / "evil.pt"
    torch.save({"model": Payload()}, path)
    message = refusal(path)
    assert "posix.system" in message or "nt.system" in message
    assert "nothing in it was run" in message


def test_a_module_of_another_family_is_refused_by_name(original, tmp_path):
    """A part that no v6.0 detector has, here the segmentation model's class."""
    path = rewritten(
        original, tmp_path / "other.pt", lambda data: data.replace(b"cmodels.common\nSPPF\n", b"cmodels.common\nC3TR\n")
    )
    assert "names models.common.C3TR, which no YOLOv5" in refusal(path)


def test_a_truncated_file_is_refused(original, tmp_path):
    """Half a download is no archive any more."""
    path = tmp_path / "half.pt"
    path.write_bytes(original.read_bytes()[:2_000_000])
    assert "is truncated or no torch checkpoint" in refusal(path)


def test_a_damaged_pickle_is_refused(original, tmp_path):
    """An archive whose pickle ends in the middle."""
    path = rewritten(original, tmp_path / "cut.pt", lambda data: data[: len(data) // 2])
    refusal(path)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    """A text file, an empty file, a missing file, a zip of something else, a checkpoint of something else."""
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "empty.pt").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "zip.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    torch.save({"model": torch.zeros(3)}, tmp_path / "tensor.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    assert "is not a file" in refusal(tmp_path / "missing.pt")
    assert "truncated or no torch checkpoint" in refusal(tmp_path / "text.pt")
    assert "truncated or no torch checkpoint" in refusal(tmp_path / "empty.pt")
    assert "no data.pkl in it" in refusal(tmp_path / "zip.pt")
    assert "holds no YOLOv5 detection model" in refusal(tmp_path / "tensor.pt")
    assert "holds no YOLOv5 detection model" in refusal(tmp_path / "list.pt")


def test_a_compressed_archive_is_refused(original, tmp_path):
    """Entries are stored as they are by torch; a compressed one can unpack to any size."""
    with zipfile.ZipFile(original) as old, zipfile.ZipFile(tmp_path / "z.pt", "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    assert "is compressed or its pickle is larger than 64 MiB" in refusal(tmp_path / "z.pt")


def test_a_pickle_without_archive_is_refused(tmp_path):
    """The format of torch before 1.6 is a bare pickle, which is not even looked into."""
    buffer = io.BytesIO()
    pickle.dump({"model": Payload()}, buffer)
    (tmp_path / "bare.pt").write_bytes(buffer.getvalue())
    refusal(tmp_path / "bare.pt")
