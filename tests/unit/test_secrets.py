"""Secrets from a file or the environment: one per line there, between blanks here."""

from __future__ import annotations

import pytest

from logmeta.elastic.secrets import read_secret, read_secrets
from logmeta.errors import UsageError

VARIABLE = "LOGMETA_TEST__SECRET"


def test_a_file_holds_one_secret_per_line_and_comments(tmp_path):
    file = tmp_path / "secrets"
    file.write_text("# of the nodes\n  first  \n\nsecond\n")
    assert read_secrets(file, VARIABLE) == ("first", "second")
    assert read_secret(file, VARIABLE) == "first"


@pytest.mark.parametrize(("given", "found"), [("", ()), ("one", ("one",)), (" one\ttwo\n", ("one", "two"))])
def test_the_environment_holds_them_between_blanks(monkeypatch, given, found):
    monkeypatch.setenv(VARIABLE, given)
    assert read_secrets(None, VARIABLE) == found
    assert read_secret(None, VARIABLE) == (found[0] if found else None)


@pytest.mark.parametrize("content", [b"", b"# only this\n", b"two words\n", b"\xff\xfe"])
def test_a_file_that_holds_none_or_cannot_be_understood_is_refused_without_quoting_it(tmp_path, content):
    file = tmp_path / "secrets"
    file.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        read_secrets(file, VARIABLE)
    assert "two words" not in str(refused.value)
