"""Masks: each variable named, in one pass that stays linear on any line."""

from __future__ import annotations

import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmeta.masks import MAX_PARAMETERS, json_message, key_without_digits, key_without_ids, mask
from logmeta.parse import Parser, TemplateTree


@pytest.mark.parametrize(
    ("message", "masked"),
    [
        ("connection from 10.0.19.230 closed", "connection from <IP> closed"),
        ("connection from 10.0.19.230:5432 closed", "connection from <IP> closed"),
        ("peer fe80:0:0:0:1:2:3:4 left", "peer <IP> left"),
        ("session 0x1000072c9300002 closed", "session <HEX> closed"),
        ("commit 58dfe136aa accepted", "commit <HEX> accepted"),
        ("request 318bee95-c358-466a-b663-4fd0c50298aa done", "request <UUID> done"),
        ("cannot open /var/lib/app/data.db today", "cannot open <PATH> today"),
        (r"cannot open C:\Windows\system32 today", "cannot open <PATH> today"),
        ("took 12.5 ms for 3 rows", "took <NUM> ms for <NUM> rows"),
        ("user=alice status=200 ok", "user=<VAL> status=<NUM> ok"),
        ('relation "orders" does not exist', "relation <STR> does not exist"),
        ("vhost '/' is up", "vhost <STR> is up"),
        ("key SHA256:yghviAM+c9qf81FhyhFbkgva14cCbw3a ok", "key SHA<NUM>:<ID> ok"),
        ("nothing varies here", "nothing varies here"),
        ("", ""),
    ],
)
def test_each_kind_of_variable_has_its_name(message, masked):
    assert mask(message).text == masked


def test_an_apostrophe_inside_a_word_opens_no_quotation():
    assert mask("can't open 'x' and won't").text == "can't open <STR> and won't"


def test_words_made_of_hex_letters_stay_words():
    assert mask("defaced facade dead beef").text == "defaced facade dead beef"


def test_a_value_is_known_by_its_key_and_keeps_no_digits():
    assert mask("user=alice42 took 7").values == (("user", "alice#"),)


def test_a_number_is_known_by_its_order_and_its_place():
    assert mask("took 12 of 34").numbers == (("n0", 5), ("n1", 11))


def test_a_line_cannot_carry_more_parameters_than_the_bound():
    masked = mask(" ".join(f"k{i}=v x 5" for i in range(200)))
    assert len(masked.values) <= MAX_PARAMETERS
    assert len(masked.numbers) <= MAX_PARAMETERS


@given(st.text(max_size=300))
def test_masking_any_text_is_deterministic_and_names_no_drain_wildcard(text):
    text = text.replace("<*>", "")
    once = mask(text)
    assert once == mask(text)
    assert "<*>" not in once.text
    assert all(text[offset].isdigit() for _, offset in once.numbers)


@given(st.from_regex(r"[0-9a-fA-F.:='\"/ \\g_+-]{0,120}", fullmatch=True))
def test_masking_what_looks_like_variables_never_raises(text):
    assert mask(text) == mask(text)


SHAPES = {
    "hex groups, then a letter outside a-f": lambda n: "abc12f " * (n // 7) + "g",
    "one hex run, then a letter outside a-f": lambda n: "a1" * (n // 2) + "g",
    "hex letters without a digit": lambda n: "abcdef" * (n // 6) + "g",
    "double quotes": lambda n: '"' * n,
    "an odd quote and a long tail": lambda n: '"' + "x" * n,
    "single quotes": lambda n: "'" * n,
    "single quotes behind spaces": lambda n: " '" * (n // 2),
    "slashes": lambda n: "/" * n,
    "short path segments": lambda n: "/a" * (n // 2) + "(",
    "one segment": lambda n: "/" + "a" * n,
    "dashes": lambda n: "-" * n,
    "uuid heads": lambda n: "12345678-" * (n // 9),
    "equals signs": lambda n: "=" * n,
    "keys without values": lambda n: "a= " * (n // 3),
    "keys of keys": lambda n: "a=" * (n // 2),
    "digits with dots": lambda n: "1." * (n // 2),
    "digits": lambda n: "1" * n,
    "colons": lambda n: "a:" * (n // 2),
    "backslashes": lambda n: "C:" + "\\" * n,
    "long id without a digit": lambda n: "abc_+/-" * (n // 7),
    "brackets": lambda n: "[" * n,
    "at signs": lambda n: "a@" * (n // 2),
    "dotted words": lambda n: "a." * (n // 2) + " ",
    "open braces": lambda n: "{" * n,
    "spaces": lambda n: " " * n + "x",
}


def seconds(function, text):
    """CPU time of the fastest of three calls."""
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        function(text)
        best = min(best, time.process_time() - started)
    return best


@pytest.mark.parametrize("shape", SHAPES)
def test_masking_stays_linear_on(shape):
    make = SHAPES[shape]
    assert seconds(mask, make(40_000)) <= 6 * seconds(mask, make(10_000)) + 0.05
    assert seconds(mask, make(65_536)) < 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_a_whole_line_is_parsed_in_linear_time_on(shape):
    def parse(text):
        Parser(TemplateTree()).parse([text, "2026-11-22 10:00:00 INFO app: " + text])

    make = SHAPES[shape]
    assert seconds(parse, make(40_000)) <= 6 * seconds(parse, make(10_000)) + 0.1
    assert seconds(parse, make(65_536)) < 1.0


@pytest.mark.parametrize("n", [48, 84, 2_000, 20_000])
def test_the_hex_line_that_hangs_drain3s_example_mask_is_masked_at_once(n):
    line = "id " + "abcdef " * (n // 6) + "g"
    assert seconds(mask, line) < 0.1


def test_a_json_line_becomes_its_level_and_a_message():
    line = '{"ts": "2026-11-22T18:30:00Z", "level": "warn", "msg": "slow query", "db": {"ms": 12}, "by": "a b"}'
    assert json_message(line) == ("warn", 'slow query db.ms=12 by="a b"')


@pytest.mark.parametrize("line", ["{", "{not json}", "[1, 2]", "3", "", '{"a": NaN}'])
def test_what_is_no_json_object_is_no_json_message(line):
    assert json_message(line) is None


@pytest.mark.parametrize("depth", [50, 900, 1_020, 5_000])
@pytest.mark.parametrize(("opens", "closes"), [('{"a":', "}"), ("[", "]")])
def test_json_nested_deeply_is_parsed_without_recursing_into_trouble(depth, opens, closes):
    line = '{"x":' + opens * depth + "1" + closes * depth + "}"
    assert Parser(TemplateTree()).parse([line])[0].line_no == 1


def test_json_nested_as_deeply_as_people_do_keeps_its_values():
    assert json_message('{"msg": "m", "a": {"b": {"c": {"d": [1, [2]]}}}}') == ("", 'm a.b.c.d="[1, [2]]"')


def test_json_with_many_keys_keeps_the_first_ones():
    line = orjson.dumps({f"k{i}": i for i in range(500)}).decode()
    level, text = json_message(line)
    assert (level, len(text.split(" "))) == ("", 64)


def test_lines_that_differ_in_digits_share_the_first_key():
    assert key_without_digits("took 12 ms") == key_without_digits("took 7 ms")


def test_lines_that_differ_in_hex_runs_share_the_second_key():
    a, b = "id 318bee95-c358-466a-b663-4fd0c50298aa done", "id c278bdde-7380-4521-8aef-d62b4be44343 done"
    assert key_without_ids(a) == key_without_ids(b)
