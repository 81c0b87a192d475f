"""What a webhook is sent: placeholders are filled in after JSON was read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from logmeta.drift import Drift
from logmeta.errors import UsageError
from logmeta.records import ModelId, Reason, ScoredLine
from logmeta.serve.delivery.notice import FIELDS, alarm_notice, drift_notice, more_notice
from logmeta.serve.delivery.template import BUILT_IN, Template

HOSTILE = 'x", "admin": true} \\ ${token} $$ <!channel> <https://evil|click> &\n\x00\x1b[31m'


def line(message: str = "disk full", **changed) -> ScoredLine:
    given = {
        "line_no": 7,
        "record_line_no": 7,
        "message": message,
        "source": "payments",
        "stream": "web-1",
        "template": "disk <*>",
        "new_template": True,
        "raw_score": 9.0,
        "score": 0.9,
        "p_value": 0.001,
        "alarm": True,
        "alarm_id": "a1",
        "provisional": False,
        "window_score": 0.9,
        "window_p_value": 0.001,
        "model": ModelId("base", "payments", "3", 200),
        "reasons": (Reason("severity", "it sounds bad", 0.7),),
    }
    return ScoredLine(**{**given, **changed})


def filled(document, notice, token=None):
    return json.loads(Template.parse(json.dumps(document).encode(), name="own").fill(notice.fields(), token=token))


def test_a_string_that_is_one_placeholder_becomes_the_value_itself_and_others_become_text():
    found = filled(
        {"score": "${score}", "new": "${new_template}", "text": "${source}: ${score}, $$5"}, alarm_notice(line())
    )
    assert found == {"score": 0.9, "new": True, "text": "payments: 0.9, $5"}


def test_a_member_without_a_value_is_left_out_and_a_null_of_the_template_stays():
    notice = alarm_notice(line(stream=None))
    assert filled({"stream": "${stream}", "mine": None, "in": "at ${stream}"}, notice) == {"mine": None, "in": "at"}


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("field", ["message", "source", "stream", "template"])
def test_no_text_of_a_log_adds_a_member_or_ends_a_string(name, field):
    notice = alarm_notice(line(**{field: HOSTILE}), console="https://logs.example")
    template = Template.load(name)

    def names(node, path=""):
        if isinstance(node, dict):
            return [p for key, value in node.items() for p in [f"{path}/{key}", *names(value, f"{path}/{key}")]]
        return (
            [p for i, value in enumerate(node) for p in names(value, f"{path}/{i}")] if isinstance(node, list) else []
        )

    plain = template.fill(alarm_notice(line(), console="https://logs.example").fields(), token="s3cret")
    hostile = template.fill(notice.fields(), token="s3cret")
    assert names(json.loads(hostile)) == names(json.loads(plain))
    assert hostile.count(b"s3cret") == plain.count(b"s3cret")  # `${token}` in a line is text


def test_slack_reads_no_mention_and_no_link_in_a_line():
    text = json.loads(Template.load("slack").fill(alarm_notice(line(HOSTILE)).fields()))["text"]
    assert "<" not in text and "&lt;!channel&gt;" in text


def test_texts_are_cut_to_a_bound():
    body = Template.load("generic").fill(alarm_notice(line("y" * 10**6, source="s" * 10**5)).fields())
    assert len(body) < 5_000


def test_pagerduty_groups_by_the_alarm_and_speaks_its_own_severities():
    found = json.loads(Template.load("pagerduty").fill(alarm_notice(line(score=1.0)).fields(), token="key"))
    assert (found["routing_key"], found["dedup_key"], found["payload"]["severity"]) == ("key", "a1", "critical")
    assert "client_url" not in found


def test_an_alarm_links_to_its_page():
    found = json.loads(Template.load("generic").fill(alarm_notice(line(), console="https://logs.example").fields()))
    assert found["link"] == "https://logs.example/#/alarm/a1"


@pytest.mark.parametrize("name", BUILT_IN)
def test_drift_and_how_many_more_fill_every_template_too(name):
    drift = Drift("deploy", 9, 1000, 0.2, 0.0, 3, 5.0, 10.0, ("t",), ("3 templates are here to stay",))
    for notice in (drift_notice("payments", drift), more_notice(412, 7, "major", why="412 rate limited")):
        assert notice.summary.encode() in Template.load(name).fill(notice.fields(), token="t")


def test_a_notice_has_a_value_or_none_for_each_placeholder_and_no_others():
    assert set(alarm_notice(line()).fields()) == set(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_each_placeholder_is_documented_and_in_the_generic_template(name):
    assert f"`{name}`" in (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
    assert name == "pagerduty_severity" or name in json.loads(
        Template.load("generic").fill(dict.fromkeys(FIELDS, 1), token=None)
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"text": "${mesage}"}', "did you mean ${message}?"),
        (b'{"text": "costs $5"}', "$$"),
        (b'{"${source}": 1}', "put it into a value"),
        (b'{"text": "${source:html}"}', "$$"),
        (b"{", "is no JSON"),
        (b'"' + b"x" * 70_000 + b'"', "shorten it"),
    ],
)
def test_a_template_that_cannot_be_filled_is_told_at_the_start(tmp_path, content, told):
    (tmp_path / "own.json").write_bytes(content)
    with pytest.raises(UsageError) as error:
        Template.load(str(tmp_path / "own.json"))
    assert told in str(error.value)


def test_a_missing_template_names_the_built_in_ones():
    with pytest.raises(UsageError, match="alertmanager"):
        Template.load("no-such-file.json")


def test_no_secret_of_a_line_is_sent():
    told = line("password: hunter2 of alice@example.com failed", reasons=(Reason("rare", "user=alice is rare", 1.0),))
    sent = str(alarm_notice(told).fields())
    assert "password: <TOKEN> of <EMAIL> failed" in sent
    assert not [secret for secret in ("hunter2", "alice") if secret in sent]
