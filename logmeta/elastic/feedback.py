"""Words that people put on annotated documents, taken to the scorer. What became of each stands beside it.

A person writes `logmeta.feedback`: `normal` or `anomaly`. We write `feedback_taken` (the value that was dealt with),
`feedback_at`, and `feedback_error` where it was refused. A document whose value is another one now waits again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NotRequired, TypedDict, cast

import httpx
import orjson
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from logmeta.elastic.bulk import NO_PIPELINE, Write, refusal, send
from logmeta.elastic.client import Address, backend_errors
from logmeta.elastic.ecs import iso
from logmeta.elastic.paths import Fields, get
from logmeta.elastic.patience import Patience
from logmeta.elastic.scorer import ScorerAddress, trust
from logmeta.errors import BackendError, UnreachableError
from logmeta.records import JsonValue

WORDS: Final = {"normal": False, "anomaly": True}
BY: Final = "elasticsearch"  # who spoke where the document does not say
PAGE: Final = 200
ASKING_S: Final = 60.0
RETRIES: Final = 5  # of a mark on a document that others write at the same moment
_SHOWN: Final = 300
_REFUSALS: Final = ("input", "usage", "unknown_source", "artifact")  # that another try would bring again
_PASSING: Final = (408, 409, 429, 502, 503, 504)


@dataclass(slots=True)
class Tally:
    """What became of the words."""

    taken: int = 0
    refused: int = 0

    def __str__(self) -> str:
        return f"{self.taken} words taken, {self.refused} refused"


class FeedbackClient:
    """A scorer's `POST /v1/feedback`."""

    def __init__(self, address: ScorerAddress) -> None:
        """Nothing is sent yet. Raises UsageError when the CA file cannot be used."""
        headers = {"Authorization": f"Bearer {address.token}"} if address.token else {}
        verify = trust(address.ca)
        self._client = httpx.Client(headers=headers, verify=verify, trust_env=False, timeout=ASKING_S)
        self._url = address.url.rstrip("/") + "/v1/feedback"

    def close(self) -> None:
        self._client.close()

    def give(self, word: Fields) -> str | None:
        """Why the scorer refuses the word; None when it took it. Raises BackendError when it says neither."""
        try:
            answer = self._client.post(self._url, content=orjson.dumps(word))
        except httpx.HTTPError as error:
            way_out = "start it with logmeta serve, or correct --scorer-url"
            raise UnreachableError(f"no scorer answers at {self._url}: {error}; {way_out}") from error
        if answer.status_code == 200:
            return None
        kind, reason = _error_of(answer.content)
        if kind in _REFUSALS:
            return reason
        told = f"{self._url} answered {answer.status_code}: {reason[:_SHOWN]}"
        if answer.status_code in _PASSING:
            raise UnreachableError(f"{told}; try again")
        raise BackendError(f"{told}; correct --scorer-url or --token-file")


class _Found(TypedDict):
    _index: str
    _id: str
    _routing: NotRequired[str]
    _source: Fields


def take_words(
    client: Elasticsearch, address: Address, pattern: str, scorer: FeedbackClient, *, patience: Patience
) -> Tally:
    """One pass: every word that waits is given to the scorer, the one written first first, and marked as taken.

    Raises:
        BackendError: scorer or Elasticsearch are down, also after patience, or a document cannot be marked.
    """
    tally = Tally()
    for hit in patience(lambda: list(_waiting(client, address, pattern))):
        found = hit["_source"]
        word = word_of(found)
        why = word if isinstance(word, str) else _given(scorer, word, patience)
        _mark(client, address, hit, _marks(found, why), tally, patience)
    return tally


def word_of(document: Fields) -> Fields | str:
    """What `POST /v1/feedback` takes of a document, or why there is nothing to take."""
    value = _field(document, "logmeta.feedback")
    if not (isinstance(value, str) and value in WORDS):
        return f"logmeta.feedback must be normal or anomaly, got {str(value)[:60]!r}"
    word: Fields = {
        "source": _field(document, "logmeta.source"),
        "template": _field(document, "logmeta.template.text"),
        "raw_score": _field(document, "logmeta.raw_score"),
    }
    missing = [name for name, found in word.items() if found is None]
    if missing:
        return (
            f"the document has no verdict to label (no {', '.join(missing)}): it was skipped or learned from, or is an "
            f"ordinary line of a pipeline with detail: alarms"
        )
    by = _field(document, "logmeta.feedback_by")
    version = _field(document, "logmeta.model.version")
    return {**word, "version": version, "anomalous": WORDS[value], "by": str(by) if by else BY}


def waiting() -> Fields:
    """The query for documents with a word that was not dealt with as it stands."""
    unlike: list[JsonValue] = [
        _bool(filter=[_term("feedback", word)], must_not=[_term("feedback_taken", word)]) for word in WORDS
    ]
    refused = _bool(filter=[_exists("feedback_taken")], must_not=[_terms("feedback_taken")])
    unknown = _bool(filter=[_exists("feedback")], must_not=[_terms("feedback"), refused])
    return _bool(should=[*unlike, unknown], minimum_should_match=1)


def _waiting(client: Elasticsearch, address: Address, pattern: str) -> Iterator[_Found]:
    query: Fields = {
        "query": waiting(),
        "sort": [{"_seq_no": "asc"}],
        "_source": ["logmeta", "logmeta.*"],
    }
    with backend_errors(address):
        found = scan(client, query=query, index=pattern, size=PAGE, preserve_order=True, ignore_unavailable=True)
        yield from cast("Iterator[_Found]", found)


def _given(scorer: FeedbackClient, word: Fields, patience: Patience) -> str | None:
    return patience(lambda: scorer.give(word))


def _marks(document: Fields, why: str | None) -> Fields:
    """What stands on the document from now on; an earlier error goes."""
    now = iso(time.time())
    return {"feedback_taken": _field(document, "logmeta.feedback"), "feedback_at": now, "feedback_error": why}


def _mark(
    client: Elasticsearch, address: Address, hit: _Found, marks: Fields, tally: Tally, patience: Patience
) -> None:
    """Write the marks, also on a document with another word by now: that one then differs from what was taken.

    Raises:
        BackendError: the document takes no mark.
    """
    target: Fields = {"_index": hit["_index"], "_id": hit["_id"], "retry_on_conflict": RETRIES}
    if "_routing" in hit:
        target["routing"] = hit["_routing"]
    write = Write({"update": target}, {"doc": {"logmeta": marks}})
    [item] = send(client, address, [write], pipeline=NO_PIPELINE, patience=patience, wait_for_refresh=True)
    if (why := refusal(item)) is not None:
        raise BackendError(f"{hit['_index']} takes no mark that a word was taken: {why}; correct that, then go on")
    if marks["feedback_error"] is None:
        tally.taken += 1
    else:
        tally.refused += 1


def _error_of(body: bytes) -> tuple[str, str]:
    """Type and reason of a scorer's refusal; what it said where that is no scorer's."""
    try:
        error = orjson.loads(body)["error"]
        return str(error["type"]), str(error["reason"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "", body[:_SHOWN].decode(errors="replace")


def _field(document: Fields, path: str) -> JsonValue:
    """By path, or under its literal name: `"logmeta.feedback": "normal"` in an update makes a dotted key."""
    value = get(document, path)
    return document.get(path) if value is None else value


def _bool(**clauses: JsonValue) -> Fields:
    return {"bool": clauses}


def _term(name: str, value: str) -> Fields:
    return {"term": {f"logmeta.{name}": value}}


def _terms(name: str) -> Fields:
    return {"terms": {f"logmeta.{name}": list(WORDS)}}


def _exists(name: str) -> Fields:
    return {"exists": {"field": f"logmeta.{name}"}}
