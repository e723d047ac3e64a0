"""Files and folders are whole or absent, and it is known before the work whether they can be written."""

import os

import pytest

from yolo_focal.errors import DataError
from yolo_focal.files import check_new_folder, check_writable, new_folder, replace_file


def test_an_empty_folder_behind_a_link_is_filled(tmp_path):
    """The link stays one, and the folder the one it leads to."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    with new_folder(link) as folder:
        (folder / "result.txt").write_text("done")
    assert link.is_symlink() and (real / "result.txt").read_text() == "done"
    assert [each.name for each in real.iterdir()] == ["result.txt"]


def test_an_empty_folder_keeps_its_identity(tmp_path):
    """It may be a mount point, which nothing can be renamed to."""
    out = tmp_path / "out"
    out.mkdir()
    before = out.stat().st_ino
    with new_folder(out) as folder:
        (folder / "result.txt").write_text("done")
    assert out.stat().st_ino == before and (out / "result.txt").exists()


def test_after_an_error_nothing_is_left(tmp_path):
    """Beside the path, and in it."""
    for out in (tmp_path / "new", tmp_path / "there"):
        (tmp_path / "there").mkdir(exist_ok=True)
        with pytest.raises(ZeroDivisionError), new_folder(out) as folder:
            (folder / "half.txt").write_text("")
            raise ZeroDivisionError
    assert [each.name for each in tmp_path.iterdir()] == ["there"] and not list((tmp_path / "there").iterdir())


def test_finished_work_is_never_deleted(tmp_path):
    """Where something took the place meanwhile, the message says where it is."""
    out = tmp_path / "out"
    with (
        pytest.raises(DataError, match=r"cannot be written .*; everything is in ") as caught,
        new_folder(out) as folder,
    ):
        (folder / "result.txt").write_text("done")
        out.mkdir()
        (out / "other.txt").write_text("")
    kept = str(caught.value).rpartition("everything is in ")[2]
    assert (tmp_path / kept / "result.txt").read_text() == "done"


@pytest.mark.parametrize("write", [new_folder, replace_file], ids=["folder", "file"])
def test_what_cannot_be_written_is_said_before_the_work(tmp_path, write):
    """A name that is too long, a file where a folder has to be, a link that leads nowhere."""
    (tmp_path / "file").write_text("")
    too_long = "long" * 100
    for path in (too_long, f"new/folder/{too_long}", f"new/{too_long}/below", "file/below"):
        with pytest.raises(DataError, match="cannot write"), write(tmp_path / path):
            pytest.fail("the work began")
        with pytest.raises(DataError, match="cannot write"):
            (check_new_folder if write is new_folder else check_writable)(tmp_path / path, False)
        assert [each.name for each in tmp_path.iterdir()] == ["file"]
    if write is new_folder:
        (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
        with pytest.raises(DataError, match="is a link that leads nowhere"), write(tmp_path / "dangling"):
            pytest.fail("the work began")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_a_read_only_folder_is_said_before_the_work(tmp_path):
    """With the reason of the system."""
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match=r"Permission denied"):
        check_writable(tmp_path / "file.pt")


def test_a_folder_is_no_file(tmp_path):
    """Not after hours, when the result is to be written."""
    with pytest.raises(DataError, match="is a folder; name a file"):
        check_writable(tmp_path)


def test_folders_made_for_a_file_that_is_not_written_are_removed(tmp_path):
    """So that the next try does not find its place taken; folders that were there stay."""
    (tmp_path / "there").mkdir()
    for path in (tmp_path / "new" / "deep" / "file.txt", tmp_path / "there" / "file.txt"):
        check_writable(path)
        with pytest.raises(ZeroDivisionError), replace_file(path):
            raise ZeroDivisionError
    assert [each.name for each in tmp_path.iterdir()] == ["there"]


def test_a_folder_that_cannot_be_written_is_said_before_the_work(tmp_path):
    """And asking leaves nothing behind, nor what is on the way to it."""
    check_new_folder(tmp_path / "new/deep")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    with pytest.raises(DataError, match="full is not empty"):
        check_new_folder(tmp_path / "full")
    check_new_folder(tmp_path / "full", exist_ok=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "full"]


def test_an_error_names_the_folder_that_was_asked_for(tmp_path):
    """Not the temporary one, which is gone when it is read."""
    with pytest.raises(DataError, match=f"^{tmp_path}/out/a.txt is wrong$"), new_folder(tmp_path / "out") as folder:
        raise DataError(f"{folder / 'a.txt'} is wrong")
