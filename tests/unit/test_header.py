"""Headers: where the message begins, how loud the line is and when it was written, with no format named."""

from __future__ import annotations

import csv
import io
import math
import os
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmeta.header import TIMESTAMP, epoch_seconds, find_stamp, split_header
from logmeta.parse import Parser, TemplateTree, is_timed

ROOT = Path(__file__).parents[2]
FORMATS = sorted((ROOT / "fixtures" / "formats").glob("*.log"))
DATA = Path(os.environ.get("LOGMETA_DATA", ROOT.parent / "shared" / "data"))


def message_of(line):
    return line[split_header(line).end :]


def at(*when):
    return datetime(*when, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("path", FORMATS, ids=lambda path: path.stem)
def test_nearly_every_record_of_a_real_format_is_timed_and_keeps_a_message(path):
    lines = path.read_text().splitlines()
    assert is_timed(lines)
    parser = Parser(TemplateTree())
    heads = [line for line, event in zip(lines, parser.parse(lines), strict=True) if event.is_head]
    assert len(heads) >= 8
    good = [line for line in heads if find_stamp(line) and message_of(line).strip()]
    assert len(good) >= 0.95 * len(heads)


MESSAGES = {
    "apache": (1, '"GET /index.html HTTP/1.1" 200 3800'),
    "celery": (1, "Task shop.send_email[b81c3987-4d34-490b-8be4-20cfc2f0cc83] received"),
    "kafka": (1, "[SocketServer listenerType=BROKER, nodeId=1] Unexpected error from /127.0.0.1"),
    "mosquitto": (1, "New connection from 127.0.0.1:58455 on port 28850."),
    "nginx": (2, "*46 client 127.0.0.1 closed keepalive connection"),
    "openldap": (1, "conn=1008 fd=11 ACCEPT from IP=127.0.0.1:51325"),
    "rabbitmq": (1, "accepting AMQP connection <0.1086.0> (127.0.0.1:38084 -> 127.0.0.1:28672)"),
    "springboot-traces": (1, "Listed 0 orders of customer=C0186"),
    "springboot": (1, "Login user=user270 from=10.1.31.17 outcome=success"),
    "sshd": (1, "Connection from 127.0.7.7 port 45539 on 127.0.0.1 port 22022"),
    "zookeeper": (1, "Submitting global closeSession request for session 0x1000072c9300002"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_message_of_a_real_line_begins_where_a_person_would_say(name):
    line_no, message = MESSAGES[name]
    line = (ROOT / "fixtures" / "formats" / f"{name}.log").read_text().splitlines()[line_no - 1]
    assert message_of(line).startswith(message)


def test_a_json_line_is_read_by_its_keys():
    line = (ROOT / "fixtures" / "formats" / "microservices.log").read_text().splitlines()[0]
    (event,) = Parser(TemplateTree()).parse([line])
    assert event.shape.template.startswith("inventory sku lookup request_id=")
    assert (event.shape.level, event.shape.level_word) == (2, "info")
    assert event.seconds == at(2026, 11, 22, 18, 29, 59) + 0.048


# Lines written for this test in the style of other well-known formats: (line, level, message, time).
STYLES = {
    "HDFS": (
        "081231 235958 42 INFO dfs.DataNode$Writer: Stored block blk_17 of size 99",
        2, "Stored block blk_17 of size 99", at(2000, 12, 31, 23, 59, 58),
    ),
    "BGL": (
        "- 1117840000 2005.06.03 R01-M1-N2-C:J03-U01 2005-06-03-23.06.40.123456 R01-M1-N2-C:J03-U01 RAS KERNEL FATAL "
        "rack lost its power",
        5, "rack lost its power", at(2005, 6, 3, 23, 6, 40) + 0.123456,
    ),
    "Thunderbird": (
        "- 1131500000 2005.11.09 cn7 Nov 9 01:33:20 cn7/cn7 crond[77]: job has begun",
        2, "job has begun", at(2000, 11, 9, 1, 33, 20),
    ),
    "HPC": ("4711 node-9 unix.hw net.niff.up 1077800000 1 interface is up", 2, "interface is up", 1077800000.0),
    "Hadoop": (
        "2015-10-18 18:01:47,978 WARN [main] org.example.mapreduce.Master: no shuffle secret",
        3, "no shuffle secret", at(2015, 10, 18, 18, 1, 47) + 0.978,
    ),
    "OpenStack": (
        "nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 ERROR nova.api.wsgi [req-1 - - -] no host",
        4, "[req-1 - - -] no host", at(2017, 5, 16) + 0.008,
    ),
    "Spark": (
        "17/06/09 20:10:40 INFO storage.Manager: Dropped block rdd_2_1",
        2, "Dropped block rdd_2_1", at(2000, 6, 9, 20, 10, 40),
    ),
    "Windows": (
        "2016-09-28 04:30:30, Info                  CBS    Worker has begun",
        2, "CBS    Worker has begun", at(2016, 9, 28, 4, 30, 30),
    ),
    "Android": (
        "03-17 16:13:38.811  1702  2395 E PowerManager: lock was lost",
        4, "lock was lost", at(2000, 3, 17, 16, 13, 38) + 0.811,
    ),
    "HealthApp": (
        "20171223-22:15:29:606|Step_Unit|30002312|onStep 1514038530 of 12",
        2, "Step_Unit|30002312|onStep 1514038530 of 12", at(2017, 12, 23, 22, 15, 29),
    ),
    "Mac": (
        "Jul  1 09:00:55 laptop-17 kernel[0]: usb port has no power",
        2, "usb port has no power", at(2000, 7, 1, 9, 0, 55),
    ),
    "Linux": (
        "Jun 14 15:16:01 combo su(pam_unix)[19939]: session was opened",
        2, "session was opened", at(2000, 6, 14, 15, 16, 1),
    ),
    "OpenSSH": (
        "Dec 10 06:55:46 host9 sshd[24200]: Bad key of user bob",
        2, "Bad key of user bob", at(2000, 12, 10, 6, 55, 46),
    ),
    "Apache": (
        "[Sun Dec 04 04:47:44 2005] [error] child 17 is in state 6",
        4, "child 17 is in state 6", at(2005, 12, 4, 4, 47, 44),
    ),
    "Proxifier": (
        "[10.30 16:49:06] chat.exe - server gave no answer in time",
        2, "server gave no answer in time", at(2000, 10, 30, 16, 49, 6),
    ),
    "Zookeeper": (
        "2015-07-29 17:41:44,747 - WARN  [SendWorker:188978561024:Quorum$SendWorker@774] - Election is late",
        3, "Election is late", at(2015, 7, 29, 17, 41, 44) + 0.747,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STYLES)
def test_a_line_in_the_style_of_a_known_system_is_split_and_timed(name):
    line, level, message, seconds = STYLES[name]
    header, (event,) = split_header(line), Parser(TemplateTree()).parse([line])
    assert (header.level, line[header.end :]) == (level, message)
    assert event.seconds == pytest.approx(seconds, abs=1e-6)


def test_a_line_without_a_header_is_all_message():
    header = split_header("the disk is full")
    assert (header.end, header.level, header.word, header.timed) == (0, 2, "", False)


def test_an_empty_line_has_an_empty_message():
    assert split_header("").end == 0


def test_a_level_word_inside_a_message_is_no_level():
    header = split_header("2026-11-22 10:00:00 INFO app: the last error was an hour ago")
    assert (header.word, header.level) == ("info", 2)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-22T18:35:38.660Z", at(2026, 11, 22, 18, 35, 38) + 0.66),
        ("2026-11-22 18:35:38,660", at(2026, 11, 22, 18, 35, 38) + 0.66),
        ("2026-11-22T18:35:38+02:00", at(2026, 11, 22, 16, 35, 38)),
        ("22/Nov/2026:18:31:37 +0000", at(2026, 11, 22, 18, 31, 37)),
        ("Sun Nov 22 18:31:37 2026", at(2026, 11, 22, 18, 31, 37)),
        ("Nov 22 18:31:37", at(2000, 11, 22, 18, 31, 37)),
        ("1795372199.5", 1795372199.5),
        ("1795372199050", 1795372199.05),
        ("10:00:01.5", 36001.5),
        ("081231 23:59:58.7", at(2000, 12, 31, 23, 59, 58)),
        ("20081231T235958.7", at(2008, 12, 31, 23, 59, 58)),
    ],
)
def test_a_timestamp_is_worth_the_seconds_worked_out_by_hand(text, seconds):
    match = TIMESTAMP.search(text)
    assert epoch_seconds(match.lastgroup, match[0]) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize("text", ["2026-02-30 10:00:00", "2026-13-01 10:00:00", "081399 203615", "99/99/99 10:00:00"])
def test_a_date_that_does_not_exist_has_no_time(text):
    match = TIMESTAMP.search(text)
    assert math.isnan(epoch_seconds(match.lastgroup, match[0]))


@given(st.from_regex(TIMESTAMP, fullmatch=True))
def test_whatever_looks_like_a_timestamp_is_worth_a_number_or_nothing(text):
    match = TIMESTAMP.search(text)
    assert isinstance(epoch_seconds(match.lastgroup, match[0]), float)


@given(st.from_regex(TIMESTAMP, fullmatch=True), st.text(max_size=30))
def test_a_line_that_begins_with_any_timestamp_is_parsed(stamp, rest):
    assert len(Parser(TemplateTree()).parse([stamp + rest])) == 1


@given(st.text(max_size=200))
def test_the_message_of_any_text_lies_inside_it(text):
    assert 0 <= split_header(text).end <= len(text)


@pytest.fixture(scope="module")
def loghub():
    archive = DATA / "loghub_2k" / "loghub_2k.tar.xz"
    if not archive.is_file():
        pytest.skip(f"{archive} is not here; set LOGMETA_DATA to the folder of labelled logs")
    with tarfile.open(archive) as tar:
        wanted = [m for m in tar if m.name.endswith((".log", "_structured.csv"))]
        return {Path(m.name).name: tar.extractfile(m).read().decode(errors="replace") for m in wanted}


@pytest.mark.shared_data
def test_every_loghub_system_is_timed_and_its_messages_are_kept(loghub):
    names = sorted(name for name in loghub if name.endswith(".log"))
    assert len(names) == 16
    for name in names:
        lines = loghub[name].splitlines()
        rows = list(csv.DictReader(io.StringIO(loghub[f"{name}_structured.csv"])))
        assert sum(split_header(line).timed for line in lines) >= 0.95 * len(lines), name
        pairs = [(message_of(line).strip(), row["Content"].strip()) for line, row in zip(lines, rows, strict=False)]
        kept = [at_ours for at_ours, theirs in pairs if at_ours and (theirs.endswith(at_ours) or theirs in at_ours)]
        whole = [1 for ours, theirs in pairs if ours.endswith(theirs)]
        assert len(kept) >= 0.95 * len(pairs), name
        assert len(whole) >= 0.75 * len(pairs), name
