"""Fixtures of the tests of what knows Ultralytics."""

import pytest

from tests.helpers import write_squares


@pytest.fixture(scope="session")
def objectless_data(tmp_path_factory):
    """The images of `tiny_data` without a single label."""
    data = write_squares(tmp_path_factory.mktemp("background"))
    for file in data.parent.rglob("*.txt"):
        file.write_text("")
    return data
