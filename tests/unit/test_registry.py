"""A folder of detector versions: what is published, what is current, and names that try to get out."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saved import Saved, content

from logmeta.errors import ArtifactError, UsageError
from logmeta.registry import MAX_FOLDER_CHARS, Registry, SupersededError, source_folder

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200).filter(
    lambda name: name.isprintable() and name.strip() and len(name.encode()) <= 512
)


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path)


def test_an_empty_folder_knows_no_source(registry):
    assert registry.sources() == []
    assert registry.versions("payments") == []
    assert registry.current("payments") is None


def test_the_newest_published_version_is_current(registry):
    first = registry.publish(Saved("payments", "a"))
    second = registry.publish(Saved("payments", "b"))
    assert registry.versions("payments") == [first, second] == ["1", "2"]
    assert registry.current("payments") == second
    assert content(registry.path("payments")) == "b as version 2"


def test_publishing_the_same_detector_twice_keeps_both(registry):
    registry.publish(Saved("payments", "a"))
    registry.publish(Saved("payments", "a"))
    assert registry.versions("payments") == ["1", "2"]


def test_of_many_who_replace_the_same_version_at_once_one_does(registry):
    registry.publish(Saved("payments"))
    published, superseded = [], []

    def publish(number):
        try:
            published.append(registry.publish(Saved("payments", f"{number}"), instead_of="1"))
        except SupersededError:
            superseded.append(number)

    threads = [Thread(target=publish, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (published, len(superseded)) == (["2"], 15)
    assert registry.current("payments") == "2"


def test_rolling_back_and_forth_moves_the_pointer_only(registry):
    for version in "abc":
        registry.publish(Saved("payments", version))
    assert registry.rollback("payments") == "2"
    assert registry.rollback("payments") == "1"
    assert registry.rollback("payments", to="3") == "3"
    assert len(registry.versions("payments")) == 3


def test_there_is_nothing_before_the_first_version(registry):
    registry.publish(Saved("payments", "a"))
    with pytest.raises(UsageError, match="older version"):
        registry.rollback("payments")


def test_a_pin_is_a_published_version(registry):
    registry.publish(Saved("payments", "a"))
    registry.publish(Saved("payments", "b"))
    assert registry.resolve("payments", "1") == "1"
    assert registry.resolve("payments", "../1") is None


def test_an_unknown_source_or_version_names_what_is_there(registry):
    registry.publish(Saved("payments", "a"))
    with pytest.raises(UsageError, match="published: 1"):
        registry.load("payments", "7")
    with pytest.raises(UsageError, match="onboard it first"):
        registry.load("orders")


def test_a_pointer_to_nowhere_is_an_artifact_error_that_names_the_versions(registry, tmp_path):
    registry.publish(Saved("payments", "a"))
    (tmp_path / "payments" / "current").write_text("../../etc")
    with pytest.raises(ArtifactError, match="1"):
        registry.load("payments")


def test_a_failed_save_publishes_nothing(registry, tmp_path):
    class Failing(Saved):
        def save_pretrained(self, folder):
            super().save_pretrained(folder)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        registry.publish(Failing("payments"))
    assert registry.versions("payments") == []
    assert registry.current("payments") is None
    assert [path.name for path in (tmp_path / "payments").iterdir()] == ["source"]


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0b", "x" * 513, "\ud800"])
def test_a_name_that_is_no_source_is_refused(name):
    with pytest.raises(UsageError, match="source"):
        source_folder(name)


@given(names)
def test_a_source_stays_inside_the_registry_whatever_its_name(name):
    folder = source_folder(name)
    assert Path(folder).name == folder
    assert folder not in {".", ".."} and not folder.startswith(".")
    assert folder.lower() == folder or "%" in folder
    assert len(folder) <= MAX_FOLDER_CHARS


@given(names, names)
def test_two_sources_never_share_a_folder_not_even_where_case_is_ignored(one, other):
    assert (source_folder(one).lower() == source_folder(other).lower()) == (one == other)


def test_sources_are_listed_in_their_own_spelling(registry):
    for name in ("Payments", "payments", "../x", "größe/α"):
        registry.publish(Saved(name))
    assert registry.sources() == sorted(["Payments", "payments", "../x", "größe/α"])
