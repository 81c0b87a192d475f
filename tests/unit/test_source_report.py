"""The report of one source: what is counted, over which days, and that no text of a log becomes markup."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from logmeta.drift import Drift
from logmeta.errors import BackendError, UsageError
from logmeta.records import ModelId, Reason, ScoredLine
from logmeta.serve.journal.book import Event
from logmeta.serve.journal.writer import Journal
from logmeta.serve.metrics import Metrics
from logmeta.serve.report.charts import nice
from logmeta.serve.report.facts import gather
from logmeta.serve.report.markup import joined, tag, text
from logmeta.serve.report.page import html
from logmeta.serve.report.span import Span

HOSTILE = '</code></td><script>alert(1)</script><img src="https://evil/x" onerror=alert(1)> & \x00\x1b[31m "\''
NOW = datetime.now(UTC)


def line(number: int, template: str = "disk full", **changed) -> ScoredLine:
    given = {
        "line_no": number,
        "record_line_no": number,
        "message": f"message of {template}",
        "source": "payments",
        "stream": None,
        "template": template,
        "new_template": False,
        "raw_score": 9.0,
        "score": 0.9,
        "p_value": 0.001,
        "alarm": True,
        "alarm_id": f"a{number}",
        "provisional": False,
        "window_score": 0.9,
        "window_p_value": 0.001,
        "model": ModelId("base", "payments", "3", 200),
        "reasons": (Reason("burst", "too many at once", 0.7),),
    }
    return ScoredLine(**{**given, **changed})


def quiet(number: int) -> ScoredLine:
    return line(number, alarm=False, alarm_id=None, score=0.2, reasons=())


def said(kind: str, text_: str, by: str | None = None, **details) -> Event:
    return Event(kind, "payments", text_, by, details, at=NOW.timestamp())


def keep(folder, *told, name="9750", source="payments"):
    """A journal with lines, events and drift at their times, as a scorer of that name keeps it."""
    clock = [0.0]
    path = folder / f"journal-{name}.sqlite"
    journal = Journal(path, metrics=Metrics(max_source_labels=1), clock=lambda: clock[0])
    journal.start()
    opened = SimpleNamespace(detector=SimpleNamespace(source=source))
    for at, what in told:
        clock[0] = at.timestamp()
        if isinstance(what, Event):
            journal.note(what)
        elif isinstance(what, Drift):
            journal.follow(opened, [], [what])
        else:
            journal.follow(opened, what, [])
    journal.close()


def facts(folder, days=7, source="payments"):
    return gather(folder, source, Span.of_days(days, now=NOW))


class Elements(HTMLParser):
    """The elements of a page, its attributes and its text."""

    def __init__(self, page: str):
        super().__init__()
        self.names, self.attributes, self.said = set(), set(), []
        self.feed(page)

    def handle_starttag(self, name, attributes):
        self.names.add(name)
        self.attributes |= {key for key, _ in attributes}

    def handle_data(self, data):
        self.said.append(data)


def test_a_span_is_today_and_the_whole_days_before_it():
    span = Span.of_days(7, now=datetime(2026, 11, 27, 15, 30, tzinfo=UTC))
    assert span.since == datetime(2026, 11, 21, tzinfo=UTC) and span.hours == 6 * 24 + 15.5
    assert [day.day for day in span.days] == [21, 22, 23, 24, 25, 26, 27]
    assert span.holds("2026-11-21T00:00:00.000Z") and not span.holds("2026-11-20T23:59:59.999Z")
    assert span.place("2026-11-24T12:00:00Z") == 0.5


def test_alarms_are_counted_by_day_reason_template_and_severity(tmp_path):
    yesterday = NOW - timedelta(days=1)
    keep(
        tmp_path,
        (yesterday, [line(1), line(2, score=0.6), line(3, "no route", reasons=(), new_template=True)]),
        (NOW, [line(4), quiet(5)]),
    )
    found = facts(tmp_path)
    assert found.alarms.by_day[yesterday.date().isoformat()].total() == 3
    assert found.alarms.by_day[NOW.date().isoformat()].total() == 1
    assert found.alarms.by_reason == {"burst": 3, "unexplained": 1}
    kinds = {kind.template: kind for kind in found.alarms.kinds.values()}
    assert (kinds["disk full"].count, kinds["disk full"].worst, kinds["no route"].is_new) == (3, "critical", True)
    assert (found.lines, found.anomalous, found.unseen) == (5, 4, 1)


def test_what_lies_before_the_span_or_is_of_another_source_is_not_told(tmp_path):
    keep(tmp_path, (NOW - timedelta(days=20), [line(1)]), (NOW, [line(2, source="orders")]), name="1")
    keep(tmp_path, (NOW, [line(3)]), name="2")
    assert facts(tmp_path).alarms.total == 1 and facts(tmp_path, days=30).alarms.total == 2


def test_journals_of_several_scorers_are_told_as_one(tmp_path):
    keep(tmp_path, (NOW, [line(1), quiet(2)]), name="1")
    keep(tmp_path, (NOW, [line(3), quiet(4)]), name="2")
    found = facts(tmp_path)
    assert (found.alarms.total, found.lines, found.journals, len(found.steps)) == (2, 4, 2, 1)


def test_journals_from_other_machines_are_told_with_those_of_the_folder_each_once(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    keep(here, (NOW, [line(1), quiet(2)]))
    keep(there, (NOW, [line(3), line(4)]))
    copied = tmp_path / "scorer-2.sqlite"
    with closing(sqlite3.connect(there / "journal-9750.sqlite")) as of, closing(sqlite3.connect(copied)) as to:
        of.backup(to)
    for others in ([copied], [there], [here, there, there]):
        found = gather(here, "payments", Span.of_days(7, now=NOW), others=others)
        assert (found.alarms.total, found.lines, found.journals) == (3, 4, 2)
    with pytest.raises(UsageError, match=r"no journal in .*nowhere"):
        gather(here, "payments", Span.of_days(7), others=[tmp_path / "nowhere"])


def test_more_alarms_than_a_page_of_the_journal_are_all_counted(tmp_path):
    keep(tmp_path, *((NOW, [line(100 * i + j) for j in range(100)]) for i in range(25)))
    assert facts(tmp_path).alarms.total == 2_500


def test_a_source_that_is_three_days_old_is_not_judged_by_seven(tmp_path):
    keep(tmp_path, (NOW - timedelta(days=2), [line(i) for i in range(30)]), (NOW, [quiet(99)]))
    assert facts(tmp_path).alarms_per_day == pytest.approx(15, rel=0.05)


def test_drift_feedback_and_versions_are_told(tmp_path):
    drift = Drift("deploy", 9, 1000, 0.2, 1.5, 3, 5.0, 10.0, ("tenant <*> loaded",), ("3 templates are here to stay",))
    keep(
        tmp_path,
        (NOW, [line(1)]),
        (NOW, drift),
        (NOW, said("feedback", "not an anomaly: disk full", "ada")),
        (NOW, said("decision", "pinned: true", "bob")),
    )
    told = "\n".join(Elements(html(facts(tmp_path))).said)
    for words in (
        "3 templates are here to stay",
        "tenant <*> loaded",
        "ada",
        "not an anomaly: disk full",
        "pinned: true",
        "bob",
    ):
        assert words in told


def test_no_text_of_a_log_becomes_markup(tmp_path):
    pages = []
    for name, text_ in (("plain", "words"), ("hostile", HOSTILE)):
        folder = tmp_path / name
        folder.mkdir()
        drift = Drift("deploy", 9, 1000, 0.2, 1.5, 3, 5.0, 10.0, (text_,), (text_,))
        alarm = line(1, text_, message=text_, reasons=(Reason("burst", text_, 0.7),), new_template=True)
        keep(
            folder, (NOW, [alarm]), (NOW, drift), (NOW, said("feedback", text_, text_)), (NOW, said("decision", text_))
        )
        pages.append(Elements(html(facts(folder))))
    assert pages[0].names == pages[1].names and pages[0].attributes == pages[1].attributes
    assert not {"script", "img", "a", "link", "iframe"} & pages[1].names
    assert "<script>alert(1)</script>" in "".join(pages[1].said)


def test_the_page_asks_for_nothing_from_elsewhere_and_runs_nothing(tmp_path):
    keep(tmp_path, (NOW, [line(1)]))
    page = html(facts(tmp_path))
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert not {"src", "href", "onload", "style"} & Elements(page).attributes and "url(" not in page


def test_a_week_in_which_nothing_came_says_so(tmp_path):
    keep(tmp_path, (NOW - timedelta(days=30), [line(1)]))
    told = "".join(Elements(html(facts(tmp_path))).said)
    assert "Nothing was scored in this time" in told and "Alarms by kind" not in told


def test_a_week_without_alarms_has_its_plots(tmp_path):
    keep(tmp_path, (NOW, [quiet(i) for i in range(50)]))
    page = html(facts(tmp_path))
    assert "No alarm." in page and page.count("<svg") == 3


def test_a_page_of_many_templates_stays_small(tmp_path):
    lines = [line(i, f"template {i} " + "x" * 2_000, new_template=True) for i in range(3_000)]
    keep(tmp_path, *((NOW, lines[i : i + 500]) for i in range(0, 3_000, 500)))
    page = html(facts(tmp_path))
    assert len(page) < 400_000
    assert "1,950 more kinds are left out" in page and "1,000 alarms of further templates are counted" in page


def test_an_unknown_source_names_the_nearest_and_a_folder_without_a_journal_the_way_out(tmp_path):
    with pytest.raises(UsageError, match="logmeta serve"):
        facts(tmp_path)
    keep(tmp_path, (NOW, [line(1)]))
    with pytest.raises(UsageError, match="did you mean 'payments'"):
        facts(tmp_path, source="paiments")


def test_a_journal_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "journal-1.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(BackendError, match="cannot be read"):
        facts(tmp_path)


def test_markup_escapes_what_is_text_and_nothing_else():
    assert tag("b", "<i>", class_='a"b') == '<b class="a&quot;b">&lt;i&gt;</b>'
    assert joined(tag("i", "x"), "&") == "<i>x</i>&amp;"
    assert text("a\x00\x1b\x7f\x9b\ud800\u202e") == "a␀␛␡\ufffd\ufffd\ufffd"
    assert text("x" * 1_000) == "x" * 299 + "…"


@pytest.mark.parametrize(("most", "expected"), [(1, 1), (1.1, 2), (3, 5), (10, 10), (11, 20), (0.5, 0.5), (60, 100)])
def test_an_axis_ends_at_a_round_number(most, expected):
    assert nice(most) == pytest.approx(expected)
