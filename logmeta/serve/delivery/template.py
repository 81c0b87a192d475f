"""What a webhook is sent: a JSON document whose strings hold `${placeholders}`.

Placeholders are filled in after the document was read as JSON, so no text of a log can end a string or add a member.
"""

from __future__ import annotations

import difflib
import string
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

import orjson

from logmeta.errors import UsageError
from logmeta.records import JsonValue
from logmeta.serve.delivery.notice import FIELDS

BUILT_IN: Final = ("generic", "slack", "alertmanager", "pagerduty")
TOKEN: Final = "token"
MAX_BYTES: Final = 64 * 2**10
_SLACK: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class _Text(string.Template):
    """`${name}`, or `${name:slack}` where Slack would read `<!channel>` or a link in it; `$$` is a dollar sign."""

    idpattern = r"(?a:[a-z_]+)"
    braceidpattern = r"(?a:[a-z_]+(?::slack)?)"


class Template:
    """A document to fill in. `holds_token`: the secret stands in it, so no header carries it."""

    def __init__(self, document: JsonValue, *, name: str) -> None:
        """Raises UsageError for a placeholder that does not exist, naming the nearest."""
        used = set()
        for text in _strings(document, name):
            used |= _placeholders(text, name)
        self._document, self.holds_token = document, TOKEN in used

    @classmethod
    def load(cls, given: str) -> Template:
        """A built-in template by its name, or the one in a file.

        Raises:
            UsageError: it cannot be read, is no JSON, or has a placeholder that does not exist.
        """
        if given in BUILT_IN:
            return cls.parse(files(__package__).joinpath("templates", f"{given}.json").read_bytes(), name=given)
        try:
            content = Path(given).read_bytes()
        except OSError as error:
            known = ", ".join(BUILT_IN)
            raise UsageError(f"cannot read the template {given}: {error.strerror}; give a file, or {known}") from error
        return cls.parse(content, name=given)

    @classmethod
    def parse(cls, content: bytes, *, name: str) -> Template:
        if len(content) > MAX_BYTES:
            raise UsageError(f"the template {name} has {len(content)} bytes, at most {MAX_BYTES} are read; shorten it")
        try:
            return cls(orjson.loads(content), name=name)
        except orjson.JSONDecodeError as error:
            raise UsageError(f"the template {name} is no JSON: {error}; correct it") from error

    def fill(self, fields: Mapping[str, JsonValue], *, token: str | None = None) -> bytes:
        """The document for one notice, as JSON."""
        return orjson.dumps(_filled(self._document, {**fields, TOKEN: token}))


def _strings(document: JsonValue, name: str) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, list):
        for item in document:
            yield from _strings(item, name)
    elif isinstance(document, dict):
        for key, value in document.items():
            if "${" in key:
                raise UsageError(f"the template {name} has a placeholder in the name {key!r}; put it into a value")
            yield from _strings(value, name)


def _placeholders(text: str, name: str) -> set[str]:
    template = _Text(text)
    if not template.is_valid():
        raise UsageError(f"the template {name} has a $ that begins no placeholder in {text!r}; write ${{name}}, or $$")
    used = {word.partition(":")[0] for word in template.get_identifiers()}
    for word in sorted(used - {*FIELDS, TOKEN}):
        raise UsageError(f"the template {name} has the unknown placeholder ${{{word}}}; {_nearest(word)}")
    return used


def _nearest(word: str) -> str:
    close = difflib.get_close_matches(word, FIELDS, n=1, cutoff=0.4)
    return f"did you mean ${{{close[0]}}}?" if close else f"known are {', '.join(FIELDS)}"


def _filled(document: JsonValue, fields: Mapping[str, JsonValue]) -> JsonValue:
    if isinstance(document, str):
        return _text(document, fields)
    if isinstance(document, list):
        return [_filled(item, fields) for item in document]
    if isinstance(document, dict):
        made = {key: (value, _filled(value, fields)) for key, value in document.items()}
        return {key: new for key, (old, new) in made.items() if new is not None or old is None}
    return document


def _text(text: str, fields: Mapping[str, JsonValue]) -> JsonValue:
    """The value itself where the string is one placeholder and nothing else: a number stays a number."""
    words = _Text(text).get_identifiers()
    if words and text == f"${{{words[0]}}}" and words[0] in fields:
        return fields[words[0]]
    shown = {word: _shown(fields[word.partition(":")[0]], word) for word in words}
    return _Text(text).substitute(shown).strip()


def _shown(value: JsonValue, word: str) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text.translate(_SLACK) if word.endswith(":slack") else text
