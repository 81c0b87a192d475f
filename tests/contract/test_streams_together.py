"""A source of several streams: what they say together reaches the scores, the reasons and the saved detector."""

from __future__ import annotations

import pytest

from logmeta import Detector
from logmeta.records import as_records
from logmeta.streams import in_streams

HOSTS = ("alpha", "beta", "gamma")


def log(start, lines, hosts=HOSTS):
    """Three hosts that take turns, a line a second each."""
    for i in range(start, start + lines):
        host = hosts[i % len(hosts)]
        yield f"2026-11-22 {10 + i // 3600}:{i // 60 % 60:02}:{i % 60:02} {host} app: served page {i % 7} in {i % 5} ms"


@pytest.fixture(scope="module")
def three(base) -> Detector:
    return base.onboard(list(log(0, 600)), source="web", stream_regex=r"^\S+ \S+ (\w+) ")


@pytest.fixture(scope="module")
def silent():
    return list(log(600, 60, ("alpha", "beta")))


def test_a_host_that_falls_silent_scores_higher_and_says_so(three, silent):
    ordinary = [line.raw_score for line in three.score(log(600, 60))]
    session = three.session()
    records = in_streams(list(as_records(silent)), three.stream_regex)
    found = session.score(records, explain="all")
    assert max(line.raw_score for line in found[20:]) > max(ordinary)
    told = [reason.text for line in found for reason in line.reasons]
    assert any(text.startswith("a stream of this source is silent: for ") for text in told)


def test_the_same_lines_as_one_stream_know_of_no_silent_host(base, silent):
    one = base.onboard(list(log(0, 600)), source="web")
    assert not one.memory.context.across.shares


def test_a_loaded_detector_of_several_streams_scores_the_same(three, silent, base, tmp_path):
    three.save_pretrained(tmp_path / "d")
    loaded = Detector.from_pretrained(tmp_path / "d", base=base)
    assert [line.raw_score for line in loaded.score(silent)] == [line.raw_score for line in three.score(silent)]


def test_no_stream_name_is_kept(three, tmp_path):
    three.save_pretrained(tmp_path / "d")
    kept = b"".join(path.read_bytes() for path in (tmp_path / "d").iterdir())
    assert not any(host.encode() in kept for host in HOSTS)
