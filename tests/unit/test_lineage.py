"""Where versions come from, which are kept, and what a roll-back must be able to use."""

from __future__ import annotations

import json
import threading

import pytest
from saved import Saved, content

from logmeta.errors import ArtifactError, UsageError
from logmeta.lineage import MOST_ENTRIES, VersionInfo, expendable, read_lineage, write_info
from logmeta.registry import Registry, SupersededError

SOURCE = "payments"


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path, keep=3)


def published(registry, count, **options):
    for number in range(count):
        registry.publish(Saved(SOURCE, str(number)), **options)
    return registry


def summary(registry):
    return [(info.version, info.parent, info.why, info.by, info.kept) for info in registry.lineage(SOURCE)]


def break_version(registry, version, **changes):
    path = registry.path(SOURCE, version) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_version_knows_its_parent_why_it_was_made_and_by_whom(registry):
    registry.publish(Saved(SOURCE))
    registry.publish(Saved(SOURCE, lines_used=300), why="refreshed")
    registry.publish(Saved(SOURCE, labels=("a", "b")), why="feedback", by="ada")
    assert summary(registry) == [
        ("1", None, "onboarded", None, True),
        ("2", "1", "refreshed", None, True),
        ("3", "2", "feedback", "ada", True),
    ]
    assert [(info.lines_used, info.labels) for info in registry.lineage(SOURCE)] == [(200, 0), (300, 0), (200, 2)]
    assert all(info.made_at.endswith("+00:00") for info in registry.lineage(SOURCE))


def test_a_roll_back_is_no_version_and_what_comes_next_has_the_older_one_for_its_parent(registry):
    published(registry, 2)
    registry.rollback(SOURCE)
    registry.publish(Saved(SOURCE))
    assert [(info.version, info.parent) for info in registry.lineage(SOURCE)] == [("1", None), ("2", "1"), ("3", "1")]


def test_one_step_back_leads_to_what_the_current_version_was_made_from(registry):
    published(registry, 2)
    registry.rollback(SOURCE)
    registry.publish(Saved(SOURCE))
    assert registry.rollback(SOURCE) == "1", "version 2 was left for being wrong"


def test_versions_from_before_lineage_was_kept_tell_what_their_files_tell(registry, tmp_path):
    published(registry, 1)
    (tmp_path / SOURCE / "lineage" / "1.json").unlink()
    [info] = registry.lineage(SOURCE)
    assert (info.version, info.why, info.lines_used, info.kept) == ("1", "unknown", 200, True)
    assert info.made_at is not None


@pytest.mark.parametrize("damage", ["{", "5", '{"why": 1, "later": 2}', ""])
def test_a_damaged_lineage_file_costs_what_it_said_and_not_the_version(registry, tmp_path, damage):
    published(registry, 1)
    (tmp_path / SOURCE / "lineage" / "1.json").write_text(damage)
    [info] = registry.lineage(SOURCE)
    assert (info.version, info.kept) == ("1", True)


def test_an_unknown_source_has_no_lineage(registry):
    assert registry.lineage("nobody") == ()


def test_the_newest_versions_are_kept_and_of_the_others_their_lineage(registry):
    published(registry, 5)
    assert registry.versions(SOURCE) == ["3", "4", "5"]
    assert [(info.version, info.kept) for info in registry.lineage(SOURCE)] == [
        ("1", False), ("2", False), ("3", True), ("4", True), ("5", True),
    ]  # fmt: skip


def test_the_current_version_and_those_that_wait_or_are_tried_are_kept_however_old(registry):
    published(registry, 3)
    registry.decide(SOURCE, current="1", shadow="2", pinned=True)
    for _ in range(6):
        registry.publish(Saved(SOURCE), waiting=True)
    assert registry.versions(SOURCE) == ["1", "2", "7", "8", "9"]
    assert (registry.current(SOURCE), registry.standing(SOURCE).waiting) == ("1", "9")


def test_a_version_that_waits_is_kept_with_a_single_newest_one(tmp_path):
    registry = Registry(tmp_path, keep=1)
    registry.publish(Saved(SOURCE))
    registry.publish(Saved(SOURCE), waiting=True)
    assert registry.versions(SOURCE) == ["1", "2"]


def test_numbers_of_versions_that_are_gone_do_not_come_again(registry):
    published(registry, 7)
    assert registry.publish(Saved(SOURCE)) == "8"


def test_nothing_of_a_pruned_version_stays_behind(registry, tmp_path):
    published(registry, 6)
    assert sorted(path.name for path in (tmp_path / SOURCE).iterdir()) == [
        "4",
        "5",
        "6",
        "current",
        "lineage",
        "source",
    ]


def test_the_latest_thousand_are_remembered(tmp_path):
    for number in range(1, MOST_ENTRIES + 3):
        write_info(tmp_path, VersionInfo(str(number)))
    lineage = read_lineage(tmp_path, [])
    assert (len(lineage), lineage[0].version, lineage[-1].version) == (MOST_ENTRIES, "3", str(MOST_ENTRIES + 2))


def test_all_but_the_newest_and_those_in_use_are_expendable():
    assert expendable(["1", "2", "3", "4"], keep=2, held=("1", None)) == ["2"]
    assert expendable(["1", "2"], keep=5, held=()) == []
    assert expendable([], keep=2, held=()) == []


def test_rolling_back_to_what_is_not_kept_says_so_and_names_what_is_there(registry):
    published(registry, 5)
    with pytest.raises(UsageError, match=r"published: 3, 4, 5; version 1 is not kept any more, the newest 3 are"):
        registry.rollback(SOURCE, to="1")
    with pytest.raises(UsageError, match=r"no version '9'; published: 3, 4, 5$"):
        registry.rollback(SOURCE, to="9")
    assert registry.current(SOURCE) == "5"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 99}, "detector format 99"),
        ({"sha256": {}}, "damaged"),
        ({"base": {"name": "old", "digest": "d0"}}, "made with base model old"),
    ],
)
def test_the_pointer_does_not_move_to_a_version_that_cannot_be_used(registry, changes, words):
    published(registry, 2)
    break_version(registry, "1", **changes)
    with pytest.raises(ArtifactError, match=words):
        registry.rollback(SOURCE, base="d1")
    with pytest.raises(ArtifactError, match=words):
        registry.decide(SOURCE, shadow="1", base="d1")
    assert (registry.current(SOURCE), registry.standing(SOURCE).shadow) == ("2", None)


def test_a_version_of_an_older_format_can_be_gone_back_to(registry):
    published(registry, 2)
    break_version(registry, "1", format=1)
    assert registry.rollback(SOURCE, base="d1") == "1"


def test_a_version_with_a_missing_file_is_not_gone_back_to(registry):
    published(registry, 2)
    (registry.path(SOURCE, "1") / "weights.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"weights.safetensors is missing"):
        registry.rollback(SOURCE)
    assert registry.current(SOURCE) == "2"


def test_what_is_in_use_is_not_tried_and_does_not_wait(registry):
    published(registry, 2)
    registry.decide(SOURCE, shadow="1", waiting="1")
    standing = registry.decide(SOURCE, current="1")
    assert (standing.shadow, standing.waiting) == (None, None)


def test_of_two_who_decide_from_the_same_version_one_is_told_to_start_again(registry):
    published(registry, 3)
    registry.decide(SOURCE, current="1", instead_of="3")
    with pytest.raises(SupersededError, match="at version 1, not 3"):
        registry.decide(SOURCE, current="2", instead_of="3")
    assert registry.current(SOURCE) == "1"


def test_of_many_who_publish_from_the_same_version_at_once_one_succeeds(tmp_path):
    Registry(tmp_path).publish(Saved(SOURCE, "first"))
    found, refused, ready = [], [], threading.Barrier(6)

    def publish(name):
        ready.wait()
        try:
            found.append(Registry(tmp_path).publish(Saved(SOURCE, name), instead_of="1"))
        except SupersededError:
            refused.append(name)

    threads = [threading.Thread(target=publish, args=(f"n{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found, len(refused)) == (["2"], 5)
    assert content(Registry(tmp_path).path(SOURCE)).endswith("as version 2")
