"""Lines to events: templates that do not depend on order, records of several lines, a cache that changes nothing."""

from __future__ import annotations

import ast
import gzip
import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmeta.parse import (
    MAX_NUMBER,
    MAX_RECORD_LINES,
    MAX_TEMPLATE_TOKENS,
    OVERFLOW,
    Parser,
    TemplateTree,
    fingerprint,
    is_timed,
)

ROOT = Path(__file__).parents[2]
FORMATS = sorted((ROOT / "fixtures" / "formats").glob("*.log"))
STAMP = "2026-11-22 16:53:24.387 UTC [7] shop@shop/web"


class Uncached(Parser):
    """The parser without its cache: every line is masked and looked up anew."""

    def shape_of(self, line):
        return self._make_shape(line)

    def _shape_by_key(self, key, line):
        return self._make_shape(line)


def postgresql(count):
    with gzip.open(ROOT / "fixtures" / "postgresql" / "test.log.gz", "rt") as file:
        return [line.rstrip("\n") for line, _ in zip(file, range(count), strict=False)]


def learned(lines):
    tree = TemplateTree()
    Parser(tree, timed=is_timed(lines), learn=True).parse(lines)
    return tree


def facts(events):
    return [(e.shape.template, e.record_line_no, e.numbers, repr(e.seconds), e.shape.level) for e in events]


def records(lines, timed=True):
    return [event.record_line_no for event in Parser(TemplateTree(), timed=timed).parse(lines)]


def test_a_template_id_is_the_hash_of_the_templates_text():
    (event,) = Parser(TemplateTree()).parse(["took 12 ms"])
    assert event.template_id == hashlib.blake2s(b"took <NUM> ms", digest_size=8).hexdigest()


def test_template_ids_do_not_depend_on_the_order_of_the_lines():
    lines = ["user=a logged in", "took 12 ms", "disk full", "took 9 ms", "no route to 10.0.0.1"]
    shuffled = random.Random(7).sample(lines, len(lines))

    def ids(order):
        tree = learned(order)
        return {line: event.template_id for line, event in zip(lines, Parser(tree).parse(lines), strict=True)}

    assert ids(lines) == ids(shuffled)


def test_lines_that_differ_in_one_word_of_many_share_a_template_with_a_wildcard():
    tree = learned(["began to copy files with alpha today", "began to copy files with beta today"])
    assert tree.match("began to copy files with gamma today") == "began to copy files with <*> today"


def test_a_template_holds_no_more_tokens_than_the_bound():
    (event,) = Parser(TemplateTree()).parse(["word " * 500])
    assert len(event.shape.template.split()) == MAX_TEMPLATE_TOKENS


def test_the_tree_never_holds_more_templates_than_its_bound():
    tree = TemplateTree(max_templates=50)
    for i in range(500):
        tree.learn(" ".join(["x"] * (1 + i // 20)) + f" {'abcdefghijklmnopqrst'[i % 20]}unique")
    assert len(tree.snapshot()) <= 50


def test_the_cache_never_holds_more_shapes_than_its_bound_and_counts_what_it_dropped(monkeypatch):
    monkeypatch.setattr("logmeta.parse.MAX_SHAPES", 10)
    parser = Parser(TemplateTree())
    for i in range(26):
        parser.parse(["word" + "abcdefghijklmnopqrstuvwxyz"[i]])
        assert len(parser._shapes) <= 10
    assert parser.counters.shapes_evicted > 0


def test_scoring_leaves_the_known_tree_as_it_was():
    lines = postgresql(400)
    tree = learned(lines[:200])
    before = tree.snapshot()
    Parser(tree).parse([*lines[200:], "never seen before", "nor was this one"])
    assert tree.snapshot() == before


def test_an_unseen_shape_is_its_own_template_and_is_marked_as_unknown():
    tree = learned(["all is well", "all is quiet here today"])
    known, unknown = Parser(tree).parse(["all is well", "something else happened"])
    assert (known.shape.known, unknown.shape.known) == (True, False)
    assert unknown.shape.template == "something else happened"


def test_the_parser_counts_lines_cache_hits_and_new_templates():
    parser = Parser(learned(["took 1 ms"]))
    parser.parse(["took 5 ms", "took 6 ms", "disk full"])
    counters = parser.counters
    assert (counters.lines, counters.shape_hits, counters.new_templates) == (3, 1, 1)


@pytest.mark.parametrize("path", FORMATS, ids=lambda path: path.stem)
def test_the_cache_changes_nothing_on_a_real_format(path):
    lines = path.read_text().splitlines() * 2
    tree = learned(lines)
    assert facts(Parser(tree).parse(lines)) == facts(Uncached(tree).parse(lines))


def test_the_cache_changes_nothing_on_the_postgresql_log():
    lines = postgresql(3_000)
    tree = learned(lines)
    assert facts(Parser(tree).parse(lines)) == facts(Uncached(tree).parse(lines))


@pytest.mark.parametrize("sizes", [("9876543", "98765432"), ("98765432", "9876543")])
def test_a_number_is_a_number_however_many_digits_it_has(sizes):
    lines = [f"wrote file of {size} bytes" for size in sizes]
    events = Parser(TemplateTree()).parse(lines)
    assert [e.shape.template for e in events] == ["wrote file of <NUM> bytes"] * 2
    assert [e.numbers for e in events] == [(("n0", float(size)),) for size in sizes]


def test_each_line_keeps_its_own_numbers_when_the_shape_comes_from_the_cache():
    events = Parser(TemplateTree()).parse(["took 12 ms for 3 rows", "took 9.5 ms for 4 rows"])
    assert [e.numbers for e in events] == [(("n0", 12.0), ("n1", 3.0)), (("n0", 9.5), ("n1", 4.0))]


def test_a_number_too_long_for_a_float_stays_finite():
    (event,) = Parser(TemplateTree()).parse(["count=" + "9" * 400])
    assert event.numbers == (("n0", MAX_NUMBER),)


def test_a_restored_tree_equals_the_one_that_was_saved():
    lines = postgresql(1_000)
    tree = learned(lines[:500])
    restored = TemplateTree(templates=tree.snapshot())
    assert restored.snapshot() == tree.snapshot()
    assert facts(Parser(restored).parse(lines)) == facts(Parser(tree).parse(lines))


def test_a_snapshot_is_plain_data():
    assert all(type(text) is str and type(size) is int for text, size in learned(postgresql(300)).snapshot())


@pytest.mark.parametrize("path", sorted((ROOT / "logmeta").rglob("*.py")), ids=lambda path: path.stem)
def test_no_module_of_ours_imports_pickle_in_any_form(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    assert not names & {"pickle", "cPickle", "jsonpickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


JAVA = [
    "2026-11-22 10:00:00 ERROR app: order failed",
    "java.lang.NullPointerException: id is null",
    "\tat com.acme.Orders.place(Orders.java:14)",
    "\tat com.acme.Api.post(Api.java:6)",
    "Caused by: java.io.IOException: closed",
    "\t... 12 more",
    "2026-11-22 10:00:01 INFO app: next order",
]
PYTHON = [
    "2026-11-22 10:00:00,095 ERROR shop: view failed",
    "Traceback (most recent call last):",
    '  File "app.py", line 3, in view',
    "    return 1 / 0",
    "ZeroDivisionError: division by zero",
    "2026-11-22 10:00:01,000 INFO shop: view id=4",
]
POSTGRESQL = [
    f'{STAMP} ERROR:  duplicate key value violates unique constraint "users_pkey"',
    f"{STAMP} DETAIL:  Key (id)=(5) already exists.",
    f"{STAMP} HINT:  Choose another id.",
    f"{STAMP} STATEMENT:  insert into users",
    "\tvalues (5)",
    f"{STAMP} LOG:  connection closed",
]


@pytest.mark.parametrize(
    ("lines", "first_lines"),
    [(JAVA, [1] * 6 + [7]), (PYTHON, [1] * 5 + [6]), (POSTGRESQL, [1] * 5 + [6])],
    ids=["java", "python", "postgresql"],
)
def test_a_record_of_several_lines_is_known_by_its_first(lines, first_lines):
    assert records(lines) == first_lines


def test_a_stack_trace_belongs_to_its_head_also_where_lines_carry_no_times():
    lines = ["order failed", "Traceback (most recent call last):", "  in view", "order placed"]
    assert records(lines, timed=False) == [1, 1, 1, 4]


def test_lines_of_a_source_without_times_are_records_of_their_own():
    assert records(["one", "two", "three"], timed=False) == [1, 2, 3]


def test_records_of_interleaved_streams_do_not_mix():
    parser = Parser(TemplateTree())
    lines = [(JAVA[0], "a"), (JAVA[6], "b"), (JAVA[1], "a"), (JAVA[2], "b")]
    events = [parser.event(line, i + 1, stream) for i, (line, stream) in enumerate(lines)]
    assert [e.record_line_no for e in events] == [1, 2, 1, 2]


def test_the_first_line_of_a_log_is_a_head_whatever_it_looks_like():
    assert records(["\tat com.acme.Orders.place(Orders.java:14)", "\tat b"]) == [1, 1]


def test_a_record_without_an_end_is_broken_at_the_bound():
    found = records([JAVA[0]] + ["\tat x"] * (MAX_RECORD_LINES + 5))
    assert found[MAX_RECORD_LINES - 1] == 1
    assert found[MAX_RECORD_LINES] == MAX_RECORD_LINES + 1


def test_the_head_of_a_record_begins_with_its_own_line_number():
    events = Parser(TemplateTree()).parse(JAVA)
    assert [e.is_head for e in events] == [True] + [False] * 5 + [True]


def test_a_source_of_mostly_stack_traces_still_counts_as_timed():
    assert is_timed([JAVA[0], *JAVA[2:4] * 20, ""])


def test_a_source_without_times_is_not_timed():
    assert not is_timed(["one", "two", "three"])
    assert not is_timed([])


def test_an_odd_digit_behind_a_timestamp_is_no_fraction_of_a_second():
    (event,) = Parser(TemplateTree()).parse(["2026-11-22 16:53:24.1² rows"])
    assert event.line_no == 1


@given(st.lists(st.text(max_size=80), max_size=20), st.booleans())
def test_any_text_is_parsed_to_one_event_per_line(lines, timed):
    events = Parser(TemplateTree(), timed=timed).parse(lines)
    assert [e.line_no for e in events] == list(range(1, len(lines) + 1))
    assert all(e.record_line_no <= e.line_no for e in events)


@given(st.lists(st.text(st.characters(codec="ascii"), max_size=40), max_size=12))
def test_a_tree_is_restored_from_its_snapshot_whatever_it_has_learned(lines):
    tree = learned(lines)
    assert TemplateTree(templates=tree.snapshot()).snapshot() == tree.snapshot()


def test_templates_beyond_the_bound_share_a_number_and_stay_new(monkeypatch):
    monkeypatch.setattr("logmeta.parse.MAX_NUMBERED", 3)
    parser = Parser(TemplateTree())
    shapes = [parser.shape_of(f"{word} {word}ish {word}ling") for word in ("alpha", "bravo", "carol", "delta", "erika")]
    assert [shape.template_index for shape in shapes] == [0, 1, 2, 3, 3]
    assert (parser.overflow, parser.templates[-1]) == (3, OVERFLOW)
    assert shapes[3].template != shapes[4].template
    assert parser.shape_of("bravo bravoish bravoling").template_index == 1


ORDINARY = ["sensor", "sent", "reading", "from", "plant", "line", "gateway", "historian"]
PAD = " ".join(ORDINARY * 5)
KNOWN = frozenset(map(fingerprint, ORDINARY))


@pytest.mark.parametrize("text", [f"{PAD} permission denied for table", f"permission denied for table {PAD}"])
def test_ordinary_words_are_no_part_of_a_long_message_unless_they_stand_beside_unknown_ones(text):
    (event,) = Parser(TemplateTree(), words=KNOWN).parse([text])
    assert set(event.shape.template.split()) - {"historian", "sensor"} == {"permission", "denied", "for", "table"}


def test_a_long_message_that_begins_as_a_known_one_is_that_one_whatever_follows():
    (event,) = Parser(learned([PAD]), words=KNOWN).parse([f"{PAD} permission denied for table"])
    assert event.shape.known


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{PAD} permission denied for table", ()),  # nothing is known
        (f"{PAD} alice bob", KNOWN),  # little is unusual
        (f"{PAD} <NUM> <STR> 12 'x'", KNOWN),  # what varies is no word
        ("permission denied for table " + " ".join(ORDINARY * 3), KNOWN),  # short enough
    ],
)
def test_of_any_other_long_message_the_first_words_are_the_template(text, words):
    (event,) = Parser(TemplateTree(), words=words).parse([text])
    assert event.shape.template == " ".join(text.split()[:MAX_TEMPLATE_TOKENS])


def test_no_number_of_words_before_it_hides_a_failure_signature():
    parser = Parser(TemplateTree())
    for words in (20, 29, 30, 31, 32, 60):
        shape = parser.shape_of(f"{'ordinary ' * words}process terminated by signal nine at last")
        assert "terminated by signal" in shape.template
        assert len(shape.template.split()) <= MAX_TEMPLATE_TOKENS
