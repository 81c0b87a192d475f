"""What is absorbed, what never is, how much of it in a day, and that it is undone without a trace."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from logmeta.absorption import MOST_ABSORBED, PER_DAY, Quarantine, absorbing, without_absorbed
from logmeta.detector import Detector
from logmeta.drift import BLOCK, DriftMonitor
from logmeta.errors import UsageError
from logmeta.feedback import Absorbed
from logmeta.records import as_records

CALM = ["checkpoint written to page cache", "plan cache entry renewed", "background writer pass finished"]
BAD = "panic: could not write to disk, aborting"


@pytest.fixture(scope="module")
def line(detector, test_log):
    lines = detector.session().score(list(as_records(test_log[:50])), explain="none")
    return next(one for one in lines if one.alarm_id is None and one.line_no == one.record_line_no)


@pytest.fixture
def own(detector):
    return copy(detector)


def deployed(line, texts, *, streams=("a", "b"), blocks=20, every=1):
    """Five ordinary blocks, then such whose every fifth line, say, is an anomalous text, in all streams in turn."""
    out = []
    for n in range(1, (blocks + 5) * BLOCK + 1):
        stream, new = streams[n // every // len(texts) % len(streams)], n > 5 * BLOCK and n % every == 0
        text = texts[n // every % len(texts)] if new else line.template
        out.append(
            replace(
                line,
                line_no=n,
                record_line_no=n,
                stream=stream,
                template=text,
                message=text,
                new_template=new,
                alarm_id="a" if new else None,
                raw_score=9.0 if new else line.raw_score,
            )
        )
    return out


def followed(detector, lines):
    """What is absorbed, block by block; the detector takes it up as a scorer's does."""
    monitor = DriftMonitor(detector)
    quarantine = Quarantine(detector, monitor)
    for start in range(0, len(lines), BLOCK):
        ordinary = {one.template for one in detector.absorbed}
        batch = [
            replace(one, alarm_id=None) if one.template in ordinary else one for one in lines[start : start + BLOCK]
        ]
        monitor.see(batch)
        quarantine.see(batch)
        if more := quarantine.ready():
            detector = absorbing(detector, more)
            quarantine.use(detector)
    return detector.absorbed


def test_what_a_deploy_changed_is_absorbed(detector, line):
    found = followed(detector, deployed(line, CALM, every=5))
    assert {one.template for one in found} == set(CALM)
    assert all(one.raw_score == 9.0 and one.streams == 2 and one.lines >= 3 for one in found)


def test_nothing_bad_is_absorbed_however_often_it_comes(detector, line):
    found = followed(detector, deployed(line, [*CALM, BAD], every=4))
    assert {one.template for one in found} == set(CALM)


def test_a_known_anomaly_is_never_absorbed(own, line):
    own.known_anomalies = (CALM[0],)
    assert CALM[0] not in {one.template for one in followed(own, deployed(line, CALM, every=5))}


def test_a_drip_is_no_deploy(detector, line):
    assert followed(detector, deployed(line, CALM, every=50, blocks=100)) == ()


def test_one_stream_alone_gets_nothing_absorbed(detector, line):
    calm = deployed(line, CALM, every=5)
    alone = [replace(one, stream="a") if one.new_template else one for one in calm]
    assert followed(detector, alone) == ()
    assert followed(detector, deployed(line, CALM, every=5, streams=(None,))) != ()  # there is no other stream


def test_a_day_takes_no_more_than_its_share(detector, line):
    texts = [f"cache {a} {b} entry renewed" for a in "abcdefghij" for b in "klmnopqr"]
    now = datetime.now(UTC)
    today = tuple(Absorbed(f"t{n}", 1.0, 3, 2, now.isoformat(timespec="seconds")) for n in range(PER_DAY - 2))
    found = followed(replace(detector, absorbed=today), deployed(line, texts[:8], every=2, blocks=40))
    assert len(found) == PER_DAY
    before = tuple(replace(one, at=(now - timedelta(days=2)).isoformat(timespec="seconds")) for one in today)
    assert len(followed(replace(detector, absorbed=before), deployed(line, texts[:8], every=2, blocks=40))) == 56


def test_a_clock_that_goes_back_makes_less_room_never_more(detector, line):
    later = (datetime.now(UTC) + timedelta(days=30)).isoformat(timespec="seconds")
    full = tuple(Absorbed(f"t{n}", 1.0, 3, 2, later) for n in range(PER_DAY))
    assert followed(replace(detector, absorbed=full), deployed(line, CALM, every=5)) == full


def test_there_is_an_end_to_what_is_absorbed(detector, line):
    full = tuple(Absorbed(f"t{n}", 1.0, 3, 2, "2020-01-01T00:00:00+00:00") for n in range(MOST_ABSORBED))
    assert followed(replace(detector, absorbed=full), deployed(line, CALM, every=5)) == full


def test_the_quarantine_is_bounded(detector, line):
    monitor = DriftMonitor(detector)
    quarantine = Quarantine(detector, monitor)
    for n in range(3_000):
        quarantine.see([replace(line, template=f"t{n}", line_no=n, record_line_no=n, alarm_id="a")])
    assert len(quarantine) == 2_000


def test_absorbed_lines_alarm_no_more_are_kept_and_undone_without_a_trace(own, test_log, tmp_path):
    log = test_log[:1_400]
    before = list(own.score(log))
    odd = next(one for one in before if one.alarm)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    highest = max(one.raw_score for one in before if one.template == odd.template)
    own.absorbed = (Absorbed(odd.template, highest, 5, 1, at),)
    after = list(own.score(log))
    assert [one.alarm_id for one in after if one.template == odd.template] == [None] * sum(
        one.template == odd.template for one in before
    )
    assert after[odd.line_no - 1].raw_score < odd.raw_score
    assert all(new.raw_score <= old.raw_score + 1e-6 for old, new in zip(before, after, strict=True))
    own.save_pretrained(tmp_path / "d")
    again = Detector.from_pretrained(tmp_path / "d")
    assert again.absorbed == own.absorbed
    again.absorbed = without_absorbed(again.absorbed, own.absorbed[0].id)
    assert [one.to_dict() for one in again.score(log)] == [one.to_dict() for one in before]
    assert without_absorbed(own.absorbed, "all") == ()


def test_an_open_session_learns_a_deploys_habits_sooner_once_something_is_absorbed(detector, test_log):
    changed = replace(detector, absorbed=(Absorbed("a template that never comes", 9.0, 5, 2, "2026-01-01T00:00:00"),))
    ordinary, renamed = test_log[:600], [text.replace("connection", "linkup") for text in test_log[:600]]
    sessions = [detector.session() for _ in range(3)]
    for session in sessions:
        session.score(list(as_records(ordinary)), explain="none")
    _, same, faded = sessions
    same.recalibrate(detector)
    faded.recalibrate(changed)
    faded.recalibrate(detector)  # undone: what is absorbed goes, the context goes on
    told = [[one.raw_score for one in s.score(list(as_records(renamed)), explain="none")] for s in sessions]
    assert told[1] == told[0]
    assert np.mean(told[2][300:]) < np.mean(told[0][300:])


def test_a_deploy_that_is_absorbed_piece_by_piece_fades_the_counts_once(detector, test_log):
    pieces = [Absorbed(f"template {n}", 9.0, 5, 2, "2026-01-01T00:00:00") for n in range(2)]
    session = detector.session()
    for n, lines in enumerate([test_log[:600], test_log[600:700]]):
        session.score(list(as_records(lines)), explain="none")
        before = session._reader.context.total
        session.recalibrate(replace(detector, absorbed=tuple(pieces[: n + 1])))
        assert session._reader.context.total == pytest.approx(200 if n == 0 else before)
    assert before > 250


def test_undoing_what_was_never_absorbed_is_refused():
    with pytest.raises(UsageError, match="logmeta absorb --list"):
        without_absorbed((Absorbed("t", 1.0, 3, 2, "2026-01-01T00:00:00+00:00"),), "nothing")
