"""Personal data and secrets: what is named, what is left as it is, and how long it takes."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmeta.parse import Parser, TemplateTree
from logmeta.privacy import redact_words, redacted
from logmeta.privacy.fields import kind_of_key

FOUND = {
    # e-mails and addresses
    "mail from alice.smith@example.com to bob@mail.example.co.uk refused": "mail from <EMAIL> to <EMAIL> refused",
    "login zoë@exämple.de ok": "login <EMAIL> ok",
    "peer 192.168.7.20:5432 left": "peer <IP> left",
    "peer fe80::1ff:fe23:4567:890a left": "peer <IP> left",
    "from ::1 port 22": "from <IP> port 22",
    "lease for aa:bb:cc:dd:ee:ff": "lease for <MAC>",
    # names in known fields: key=value, JSON, JSON inside a string, prose
    "user=alice status=200": "user=<NAME> status=200",
    'customer_name="Jane Doe" customerId=77': 'customer_name="<NAME>" customerId=<NAME>',
    '{"user": "alice", "age": 3}': '{"user": "<NAME>", "age": 3}',
    r'"{\"userName\":\"alice\",\"n\":1}"': r'"{\"userName\":\"<NAME>\",\"n\":1}"',
    "Patient: John Smith admitted": "Patient: <NAME> admitted",
    "patient John Smith admitted": "patient <NAME> admitted",
    "Dear Mrs. Braun, your order": "Dear Mrs. <NAME>, your order",
    "Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2": (
        "Failed password for invalid user <NAME> from <IP> port 38926 ssh2"
    ),
    "Failed password for root from 1.2.3.4 port 22": "Failed password for <NAME> from <IP> port 22",
    "session opened for user news by (uid=0)": "session opened for user <NAME> by (uid=0)",
    "user alice logged in": "user <NAME> logged in",
    "Started Session 1 of user root.": "Started Session 1 of user <NAME>.",
    "User 'bob' has gone": "User '<NAME>' has gone",
    "rhost=h ruser= user=root": "rhost=h ruser= user=<NAME>",
    "read /home/alice/notes": "read /home/<NAME>/notes",
    r"read C:\Users\bob\notes": r"read C:\Users\<NAME>\notes",
    "dateOfBirth=1980-02-29 ok": "dateOfBirth=<BIRTH> ok",
    # secrets
    "password: hunter2": "password: <TOKEN>",
    "connect db_password=correcthorse host=h": "connect db_password=<TOKEN> host=h",
    "X-Api-Key: f8e7d": "X-Api-Key: <TOKEN>",
    "Authorization: Bearer abcDEFghi": "Authorization: <TOKEN>",
    "sent Basic YWxpY2U6c2VjcmV0": "sent Basic <TOKEN>",
    "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln today": "got <TOKEN> today",
    "key AKIAIOSFODNN7EXAMPLE used": "key <TOKEN> used",
    "push with ghp_abcdefghijklmnopqrstuvwxyzABCDEFGHIJ": "push with <TOKEN>",
    "open postgres://bob:s3cret@db:5432/x": "open postgres://<TOKEN>@db:5432/x",
    "Cookie: sid=abc; lang=de": "Cookie: <TOKEN>",
    "GET /reset?token=abcdef&lang=de": "GET /reset?token=<TOKEN>&lang=de",
    # cards, accounts, IDs, phones: check digits agree
    "card 4111 1111 1111 1111 declined": "card <CARD> declined",
    "card 4111-1111-1111-1111 declined": "card <CARD> declined",
    "pay 5555555555554444 ok": "pay <CARD> ok",
    "amex 3782 822463 10005": "amex <CARD>",
    "to DE89 3704 0044 0532 0130 00 sent": "to <IBAN> sent",
    "to GB82WEST12345698765432 sent": "to <IBAN> sent",
    "ssn 536-90-4399": "ssn <IDNUM>",
    "found 536-90-4399 twice": "found <IDNUM> twice",
    "cpf of 111.444.777-35": "cpf of <IDNUM>",
    "hetu 131052-308T": "hetu <IDNUM>",
    "dni 54362315K": "dni <IDNUM>",
    "aadhaar 2341 2341 2346": "aadhaar <IDNUM>",
    "nino AB 12 34 56 C": "nino <IDNUM>",
    "codice RSSMRA85M01H501Q": "codice <IDNUM>",
    "passport number C01X00T47 read": "passport number <IDNUM> read",
    '"ssn": 536904399': '"ssn": <IDNUM>',
    "call +49 170 1234567 or (555) 123-4567": "call <PHONE> or <PHONE>",
}

LEFT = [
    "version 1.2.3-4567 at 10:00:00.123",
    "2026-11-22 16:53:24,387 INFO [main] started in 12 ms",
    "build 58dfe136aa of 2026-11-22",
    "request 318bee95-c358-466a-b663-4fd0c50298aa took 7.5 s",
    "order 4111111111111112 shipped",  # Luhn fails
    "order 4111 1111 1111 1112 shipped",
    "iban XX11222233334444 is no account",  # mod 97 fails
    "block blk_-1608999687919862906 received",
    "epoch 1795372199605 and 1795372199605123456",
    "rows 10-20 of 30-40, offset 078",
    "serial 123-45-67",
    "cpf-like 111.444.777-36",  # check digits fail
    "user session closed",
    "user not found",
    "user is logged in",
    "stopped by user request",
    "the user interface for users",
    "using password: YES",
    "password: incorrect",
    "token_count=512 max_tokens=77",
    "basic authentication failed",
    "std::string Foo::bar a::b 10:00:00",
    "systemd: user@1000.service started",
    "uid=0 gid=0 pid=77 name=worker-1 hostname=web-1",
    "user=<NAME> user <NAME> logged in password: <TOKEN> to <IBAN>",
    "user <*> logged in from <IP>",
    "author@ @home a@b",
    "usage: CPU: user: 0.02 s, system: 0.00 s",
    "",
]


@pytest.mark.parametrize("text", FOUND)
def test_named_is(text):
    assert redacted(text) == FOUND[text]


@pytest.mark.parametrize("text", LEFT)
def test_left_as_it_is(text):
    assert redacted(text) == text


@pytest.mark.parametrize("text", FOUND.values())
def test_what_is_named_stays_as_it_is_when_read_again(text):
    assert redacted(text) == text


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("user", "NAME"),
        ("userName", "NAME"),
        ("db.user_name", "NAME"),
        ("CUSTOMER_ID", "NAME"),
        ("X-Api-Key", "TOKEN"),
        ("spring.datasource.password", "TOKEN"),
        ("date_of_birth", "BIRTH"),
        ("user_agent", None),
        ("password_age", None),
        ("hostname", None),
        ("_", None),
    ],
)
def test_a_key_is_known_by_its_last_words(key, kind):
    assert kind_of_key(key) == kind


@given(st.text(max_size=300))
def test_any_text_is_read_without_trouble_and_each_offset_leads_back(text):
    found = redact_words(text)
    kept = [offset for offset, c in enumerate(found.text) if c not in "<>" and not c.isupper()]
    assert all(text[found.original(offset)] == found.text[offset] for offset in kept)
    redacted(text)


@given(st.lists(st.sampled_from([*FOUND, *LEFT]), max_size=4), st.sampled_from([" ", ", ", "; ", " | "]))
def test_no_secret_survives_beside_others(texts, between):
    out = redacted(between.join(texts))
    for secret in ("alice.smith", "hunter2", "4111 1111 1111 1111", "s3cret", "ghp_", "0532 0130", "536-90-4399"):
        assert secret not in out


SHAPES = {
    "words": lambda n: "ab " * (n // 3),
    "one word": lambda n: "a" * n,
    "dots": lambda n: "a." * (n // 2),
    "at signs": lambda n: "a@" * (n // 2),
    "an e-mail that never ends": lambda n: "a@" + "b." * (n // 2),
    "keys without values": lambda n: "a= " * (n // 3),
    "keys of keys": lambda n: "a=" * (n // 2),
    "open quotes": lambda n: 'user="' * (n // 6),
    "backslashes": lambda n: 'user=\\"' + "\\" * n,
    "user user": lambda n: "user " * (n // 5),
    "for user": lambda n: "for user a " * (n // 11),
    "passwords": lambda n: "password for a" * (n // 14),
    "digits": lambda n: "4" * n,
    "single digits": lambda n: "4 " * (n // 2),
    "groups of four": lambda n: "4111 " * (n // 5),
    "groups with dashes": lambda n: "4111-" * (n // 5),
    "phone-like": lambda n: "+1" * (n // 2),
    "account-like": lambda n: "DE89 3704 " * (n // 10),
    "capitals": lambda n: "AB12" * (n // 4),
    "Names": lambda n: "Mr Abc " * (n // 7),
    "Names of names": lambda n: "Patient: " + "Abc " * (n // 4),
    "hex and colons": lambda n: "ab:" * (n // 3),
    "users of users": lambda n: "user=" * (n // 5),
    "quoted users": lambda n: "user='" * (n // 6),
    "ordinary users": lambda n: "user=to:" * (n // 8),
    "colons": lambda n: ":" * n,
    "urls": lambda n: "://a:" * (n // 5),
    "cookies": lambda n: "Cookie: " * (n // 8),
    "token heads": lambda n: "eyJ" * (n // 3),
    "token parts": lambda n: "eyJaaaaaaaaa." * (n // 13),
    "bearers": lambda n: "Bearer " * (n // 7),
    "key heads": lambda n: "-----BEGIN " * (n // 11),
    "homes": lambda n: "/home/" * (n // 6),
    "spaces": lambda n: " " * n,
}


def calls(function, text):
    """How many Python calls and lines a function takes on a text: its steps, whatever the clock says."""
    count = 0

    def step(frame, event, arg):
        nonlocal count
        count += 1
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        function(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_text_takes_twice_the_steps_on(shape):
    make = SHAPES[shape]
    assert calls(redacted, make(16_000)) <= 2.2 * calls(redacted, make(8_000)) + 200


@pytest.mark.timeout(60)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_hostile_text_is_read_at_all(shape):
    redacted(SHAPES[shape](200_000))  # a pattern that reads a line over and over would take hours


def masked(lines, privacy=True):
    return Parser(TemplateTree(), privacy=privacy).parse(lines)


def test_a_card_is_no_number_of_its_line_and_another_number_of_the_same_shape_is():
    card, order = masked(["pay 4111111111111111 cents 7", "pay 4111111111111112 cents 7"])
    assert card.shape is order.shape
    assert card.numbers == (("n1", 7.0),)
    assert order.numbers == (("n0", 4111111111111112.0), ("n1", 7.0))


def test_a_card_in_groups_is_no_number_whichever_line_made_the_shape():
    first, card = masked(["pay 1 2 3 4 now", "pay 4111 1111 1111 1111 now"])
    assert first.numbers == (("n0", 1.0), ("n1", 2.0), ("n2", 3.0), ("n3", 4.0))
    assert card.numbers == ()


@pytest.mark.parametrize(
    "number",
    ["536-90-4399", "111.444.777-35", "756.9217.0769.85", "85.07.30-033.28", "131052-308T", "131052A308T", "54362315K",
     "+49 170 1234567", "(555) 123-4567", "2341 2341 2346", "DE89 3704 0044 0532 0130 00", "4111-1111-1111-1111",
     "GB82 WEST 1234 5698 7654 32", "AB123456C", "880320-0016"],
)  # fmt: skip
def test_no_part_of_an_id_is_a_number_of_its_line(number):
    (event,) = masked([f"2026-11-22 10:00:00 INFO shop: seen {number} at the gate"])
    assert event.numbers == ()


def test_numbers_behind_a_masked_word_keep_their_places():
    (event,) = masked(["2026-11-22 10:00:00 INFO mail to alice.b@example.com took 12 ms for 3 rows"])
    assert event.shape.template == "mail to <EMAIL> took <NUM> ms for <NUM> rows"
    assert event.numbers == (("n0", 12.0), ("n1", 3.0))


def test_json_keeps_its_numbers_and_loses_its_names():
    (event,) = masked(['{"ts": "2026-11-22T18:30:00Z", "msg": "paid", "user": "alice", "ms": 12, "phone": 5551234567}'])
    assert event.shape.template == "paid user=<VAL> ms=<NUM> phone=<VAL>"
    assert event.numbers == (("ms", 12.0),)


def test_names_leave_no_fingerprint_of_their_own():
    a, b = masked(["user=alice wrote to carol@example.com"]), masked(["user=bob wrote to dave@example.org"])
    assert (a[0].shape.words, a[0].shape.values) == (b[0].shape.words, b[0].shape.values)


def test_without_privacy_a_template_is_made_of_the_words_as_they_are():
    (event,) = masked(["mail to alice@example.com sent"], privacy=False)
    assert event.shape.template == "mail to alice@example.com sent"
