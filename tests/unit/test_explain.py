"""Reasons: the evidence that carries a score, in words a person understands."""

from __future__ import annotations

import numpy as np
import pytest

from logmeta.explain import KINDS, MOST_REASONS, reasons_for, sentences
from logmeta.meta.features import COLUMNS, WIDTH, Precedent, empty_carry, smoothed
from logmeta.meta.scorer import base_weights


def row(**nats):
    out = np.zeros(len(COLUMNS), np.float32)
    for name, value in nats.items():
        out[COLUMNS.index(name)] = value
    return out


def words(facts=None, missing="", typical=None):
    return sentences("took <NUM> ms", "took 9000 ms", "error", facts, missing, typical)


def reasons(evidence, facts=None, before=None):
    rows = evidence[None] if before is None else np.stack([before, evidence])
    x = Precedent().features(smoothed(rows, empty_carry())[0])[-1]
    return reasons_for(lambda x: x @ base_weights(), x, np.zeros(WIDTH, np.float32), evidence, words(facts))


def test_a_line_with_one_kind_of_evidence_has_one_reason_of_full_weight():
    (reason,) = reasons(row(new_template=6.0, unlike=0.0))
    assert (reason.kind, reason.weight) == ("new_template", pytest.approx(1.0))
    assert reason.text.startswith("new message '")


def test_the_strongest_evidence_comes_first_and_the_weights_are_shares():
    found = reasons(row(new_word=8.0, number=8.0, level=1.0))
    assert found[0].kind == "new_words"
    assert [reason.weight for reason in found] == sorted((reason.weight for reason in found), reverse=True)
    assert sum(reason.weight for reason in found) <= 1 + 1e-6


def test_no_line_has_more_than_three_reasons():
    found = reasons(row(new_word=5, burst_long=5, new_value=9, level=9, number=9, missing=9, new_template=5))
    assert 1 <= len(found) <= MOST_REASONS


def test_evidence_of_the_lines_before_is_told_as_such():
    found = reasons(row(), before=row(new_word=20.0))
    assert found[0].kind == "new_words"
    assert "lately" in found[0].text or "recent" in found[0].text


def test_a_line_without_evidence_still_has_a_reason_not_an_error():
    assert len(reasons(row())) == 1


@pytest.mark.parametrize("kind", sorted(set(KINDS.values())))
def test_every_kind_of_reason_has_a_sentence(kind):
    assert words()[kind]


def test_every_kind_of_evidence_but_youth_can_be_a_reason():
    assert set(COLUMNS) - set(KINDS) == {"youth"}


def test_a_number_is_told_with_what_is_usual():
    text = words({"number": ("n0", 9000.0, 12.0)})["unusual_number"]
    assert "9000" in text
    assert "12" in text


def test_a_named_number_is_told_by_its_name():
    assert "'rows'" in words({"number": ("rows", 9000.0, 12.0)})["unusual_number"]


def test_a_missing_routine_is_told_with_its_period_and_its_delay():
    text = words({"missing": (3, 10.0, 45.0)}, missing="heartbeat")["missing"]
    assert all(part in text for part in ("heartbeat", "10", "45"))


def test_a_new_message_names_the_nearest_known_one():
    assert words(typical="took <NUM> s")["new_template"].endswith("nearest known: 'took <NUM> s'")


def test_a_long_message_is_shortened():
    told = sentences("x" * 500, "y" * 500, "error", None, "", None)
    assert all(len(text) < 300 for text in told.values())
