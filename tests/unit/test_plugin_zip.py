"""Which releases the plugin serves, and what a stamp changes in its zip."""

from __future__ import annotations

import zipfile

import pytest

from logmeta.elastic.lines import line_of
from logmeta.elastic.plugin import DESCRIPTOR, stamp
from logmeta.errors import BackendError, UsageError

WRITTEN = b"name=logmeta\nversion=0.1.0\nelasticsearch.version=9.1.0\njava.version=21\n"


@pytest.fixture
def unstamped(tmp_path):
    with zipfile.ZipFile(tmp_path / "logmeta-9.1.zip", "w") as zipped:
        zipped.writestr(
            zipfile.ZipInfo("logmeta.jar", (2026, 1, 1, 0, 0, 0)), b"elasticsearch.version=not a descriptor"
        )
        zipped.writestr(zipfile.ZipInfo(DESCRIPTOR, (2026, 1, 1, 0, 0, 0)), WRITTEN)
    return tmp_path / "logmeta-9.1.zip"


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("8.19.0", "8.19"),
        ("8.19.9", "8.19"),
        ("8.19.200", "8.19"),
        ("9.1.0", "9.1"),
        ("9.3.7", "9.1"),
        ("9.4.0", "9.4"),
        ("9.5.3", "9.4"),
        ("9.12.0", "9.4"),
    ],
)
def test_a_release_is_served_by_the_newest_line_that_began_before_it(version, line):
    assert line_of(version) == line


@pytest.mark.parametrize("version", ["7.17.0", "8.18.8", "8.20.0", "10.0.0"])
def test_a_release_outside_the_lines_is_refused_with_what_there_is(version):
    with pytest.raises(UsageError, match=r"8\.19\.x, and 9\.1\.0 or later"):
        line_of(version)


def test_9_0_is_refused_with_its_own_reason():
    with pytest.raises(UsageError, match=r"9\.0\.4 is not served: its plugin API is neither .* upgrade to 9\.1"):
        line_of("9.0.4")


@pytest.mark.parametrize("version", ["", "9", "9.5", "9.5.3.1", "9.5.3-SNAPSHOT", "9.5.x", "../9.5.3", "９.5.3"])
def test_what_is_no_release_is_refused(version):
    with pytest.raises(UsageError, match="all three numbers"):
        line_of(version)


def test_a_stamp_changes_one_line_of_the_descriptor_and_nothing_else(unstamped, tmp_path):
    stamp(unstamped, "9.3.1", tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as zipped:
        assert zipped.namelist() == ["logmeta.jar", DESCRIPTOR]
        assert zipped.read("logmeta.jar") == b"elasticsearch.version=not a descriptor"
        assert zipped.read(DESCRIPTOR) == WRITTEN.replace(b"9.1.0", b"9.3.1")


def test_the_same_stamp_gives_the_same_bytes_and_leaves_nothing_beside(unstamped, tmp_path):
    (tmp_path / "to").mkdir()
    stamp(unstamped, "9.3.1", tmp_path / "to" / "one.zip")
    stamp(tmp_path / "to" / "one.zip", "9.3.1", tmp_path / "to" / "two.zip")
    assert (tmp_path / "to" / "one.zip").read_bytes() == (tmp_path / "to" / "two.zip").read_bytes()
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["one.zip", "two.zip"]


def test_a_folder_that_is_not_there_is_named_with_the_way_out(unstamped, tmp_path):
    with pytest.raises(UsageError, match="--out"):
        stamp(unstamped, "9.3.1", tmp_path / "nowhere" / "out.zip")


def test_a_damaged_zip_is_named(tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK, but no zip")
    with pytest.raises(BackendError, match=r"broken\.zip is damaged"):
        stamp(tmp_path / "broken.zip", "9.3.1", tmp_path / "out.zip")
