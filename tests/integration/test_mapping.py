"""The mapping takes every document that a scorer or the plugin can produce: none is refused, and no field is added.

Each document and its verdict follow from its number, so a failure can be made again.
"""

from __future__ import annotations

from random import Random

import pytest
from documents import bulk_of, read, settings
from running import stand_in

from logmeta.elastic.templates import logmeta_mapping

pytestmark = pytest.mark.elasticsearch

SENT = 4_000
STREAM = "logs-odd-default"
TEXTS = [
    *("", " ", "plain", "a.b.c", ".", "..", "$x", "_id", "null", "true", "2026-01-01", "\u0000", "a\u0000b", "\ufffd"),
    *(
        "\u202eabc",
        "e\u0301",
        "🙂",
        "🙂" * 5_000,
        "x" * 40_000,
        "漢" * 12_000,
        "x" * 7_999 + "🙂🙂",
        "line\nbreak\t",
        "\\",
    ),
]
NUMBERS = [
    *(0, 1, -1, 2**31 - 1, 2**31, 2**63, -(2**70), 0.1 + 0.2, -0.0, 5e-324, 1e-300, 1.4e-45),
    *(3.4028235e38, -3.4028235e38, 3.4028236e38, 1e308, -1e308),
]
SHARES = [0, 1, 0.5, 5e-324, 1e-300, 0.1 + 0.2, 1 - 1e-16]
DATES = ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456789+14:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"]
NO_DATES = ["yesterday", "2026-01-02", "+12026-01-01T00:00:00Z", "", 5, 1.7e12]
WRONG = [None, True, [], {}, [[]], [{}], {"a": 1}, {"a": {"b": [1, "x", None]}}, *TEXTS, *NUMBERS]


def contributions(random):
    """Of kinds that no other document has: in an object field each would be a field of its own."""
    return {
        f"{random.choice(TEXTS)}{random.random()}": random.choice(NUMBERS[:12]) for _ in range(random.randrange(60))
    }


def verdict(random):
    """What a scorer may send: each leaf there or not."""
    text = lambda: random.choice(TEXTS)
    flag = lambda: random.random() < 0.5
    whole = {
        "status": random.choice(["scored", "learning", "late", "skipped"]),
        **{name: text() for name in ("reason", "alarm_id", "severity", "source", "stream", "unheard_of")},
        "score": random.choice(SHARES),
        "p_value": random.choice(SHARES),
        "raw_score": random.choice(NUMBERS[:15]),
        "took_ms": random.choice(NUMBERS[:15]),
        "alarm": flag(),
        "provisional": flag(),
        "template": {"id": text(), "text": text(), "new": flag(), "unheard_of": text()},
        "typical": random.choice([text(), [], [text(), text()], ["t"] * 500]),
        "explanation": {"kind": text(), "text": text(), "contributions": contributions(random)},
        "model": {
            "base": text(),
            "detector": text(),
            "version": random.choice(NUMBERS),
            "shots": random.choice([0, 200]),
        },
        "scored_at": random.choice(DATES),
    }
    kept = {name: value for name, value in whole.items() if name == "status" or random.random() < 0.8}
    return dict(random.sample(sorted(kept.items()), len(kept)))


def wrong_verdict(random):
    """One with a value or two that are not what they should be."""
    broken = verdict(random)
    for _ in range(random.randrange(1, 3)):
        name = random.choice([*broken, "scored_at", "model", "template"])
        part = broken.get(name)
        if isinstance(part, dict) and random.random() < 0.7:
            broken[name] = {**part, random.choice(sorted(part)): random.choice(WRONG)}
        else:
            broken[name] = random.choice([*WRONG, *NO_DATES])
    return broken


def answer(request):
    return 200, {"results": [answer_to(int(document["message"])) for document in request["documents"]]}


def answer_to(number):
    random = Random(number)
    make = random.choice([verdict, verdict, wrong_verdict, lambda random: random.choice(WRONG)])
    return make(random)


def document(number):
    """A line, and now and then what a client forged: our fields, of any type and in any spelling."""
    random = Random(-number)
    fields = {"@timestamp": "2026-01-01T00:00:00Z", "message": str(number)}
    names = [
        "status",
        "score",
        "alarm",
        "template",
        "template.id",
        "explanation.contributions",
        "model.shots",
        "scored_at",
    ]
    forged = {random.choice(names): random.choice(WRONG) for _ in range(3)}
    below = {"logmeta": {**forged, f"foreign{number}": random.choice(["x", {"deep": number}])}}
    dotted = {f"logmeta.{name}": value for name, value in forged.items()}
    event = {"event": {"risk_score": random.choice(WRONG[8:]), "risk_score_norm": random.choice(["high", 7])}}
    return {
        **fields,
        **random.choice([{}, below, dotted, {**below, **dotted}, {"logmeta": random.choice(WRONG)}, event]),
    }


def leaves(properties, path=""):
    """Path and type of every mapped field."""
    for name, field in properties.items():
        if "properties" in field:
            yield from leaves(field["properties"], f"{path}{name}.")
        else:
            yield f"{path}{name}", field["type"]


@pytest.fixture(scope="module")
def odd(client):
    """Thousands of odd documents, sent through the pipeline in a few bulks; the answer's items."""
    with stand_in(answer) as url, settings(client, scorer__urls=[url], breaker__failures=100_000):
        return [
            item["create"]
            for start in range(0, SENT, 1000)
            for item in bulk_of(client, STREAM, [document(number) for number in range(start, start + 1000)])["items"]
        ]


def test_no_document_is_refused(odd):
    refused = {number: item["error"] for number, item in enumerate(odd) if "error" in item}
    assert len(odd) == SENT
    assert refused == {}


def test_every_document_says_how_it_fared(client, odd):
    found = {document["message"]: document["logmeta"] for document in read(client, STREAM)}
    assert len(found) == SENT
    told = {(verdict["status"], verdict.get("reason") == "bad_response") for verdict in found.values()}
    assert {status for status, _ in told} == {"scored", "learning", "late", "skipped"}
    assert ("skipped", True) in told


def test_no_field_is_added_to_the_mapping(client, odd):
    [index] = client.indices.get_mapping(index=STREAM).body.values()
    mapped = dict(leaves(index["mappings"]["properties"]["logmeta"]["properties"]))
    assert mapped == dict(leaves(logmeta_mapping()["properties"]))
