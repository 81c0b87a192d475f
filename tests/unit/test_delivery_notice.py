"""What leaves in a message: texts of a log with personal data masked, names as they are, all within bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from logmeta.records import as_records
from logmeta.serve.delivery.notice import MAX_NAME, alarm_notice, sent_name, sent_text

SECRET = "login of jane.doe@example.com from 203.0.113.77 with card 4111 1111 1111 1111"


@pytest.fixture
def alarm(detector, test_log):
    line = detector.session().score(list(as_records(test_log[:1])), explain="none")[0]
    return replace(line, alarm=True, alarm_id="0f3c", message=SECRET, source="jane@payments")


def test_no_personal_data_leaves_and_names_are_as_they_are(alarm):
    fields = alarm_notice(alarm).fields()
    told = " ".join(str(value) for value in fields.values())
    assert not any(word in told for word in ("jane.doe", "203.0.113.77", "4111"))
    assert "<EMAIL>" in told
    assert fields["source"] == "jane@payments"


def test_texts_are_cut():
    assert len(sent_text("a b " * 9_000, 100)) == 100
    assert len(sent_name("n" * 9_000)) == MAX_NAME
