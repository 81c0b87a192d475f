"""The report of a results file: intervals, marks, commands, Markdown, HTML and plots."""

from __future__ import annotations

import re
import sys
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from logmeta.errors import InputError, UsageError
from logmeta.evaluate.results import Condition, Results, Row, SetFacts
from logmeta.evaluate.tables.board import Board, common_sweeps
from logmeta.evaluate.tables.bootstrap import (
    Interval,
    incident_interval,
    interval,
    over_systems,
    paired_incident_interval,
    paired_interval,
    total_incidents,
)
from logmeta.evaluate.tables.command import Sources, built, markdown_of, report
from logmeta.evaluate.tables.contents import board_of
from logmeta.evaluate.tables.document import Cell, Table
from logmeta.evaluate.tables.glossary import AP, AUROC, FOUND, UNITS
from logmeta.evaluate.tables.live import live_table, rival_table
from logmeta.evaluate.tables.markdown import cell as markdown_cell
from logmeta.evaluate.tables.markdown import words
from logmeta.evaluate.tables.sets import cell, long_table, matrices, rerun
from logmeta.evaluate.tables.speed import memory_section, throughput_section
from logmeta.evaluate.tables.summary import headlines
from logmeta.evaluate.tables.sweeps import ablation_tables, sweep_tables
from logmeta.evaluate.tables.together import together_table
from logmeta.evaluate.tables.wins import all_wins, tally_table

LINES = Condition(k=200, window="line", granularity="line")
ALL = Condition(k=0, window="line", granularity="line")
WIDE = Condition(k=200, window="sliding:20:5", granularity="window")
HARMFUL = "<script>alert('a|b')</script>"
RESULTS = Path(__file__).parents[2] / "docs" / "results"


def facts(**changes) -> SetFacts:
    sizes = {"ordinary_lines": 500, "test_lines": 900, "units": 900, "positives": 40}
    return SetFacts(**{"family": "f", "unit": "line", "sha256": "abc123", **sizes, **changes})


def row(name: str, method: str, condition: Condition = LINES, **metrics) -> Row:
    kind = {"logmeta": "ours", "no meta-learning": "ablation"}.get(method, "rule")
    draws = len(next(iter(metrics.values()), []))
    return Row(name, method, kind, condition, list(range(draws)), metrics)


def board(rows: list[Row], **sets: SetFacts) -> Board:
    named = sets or {row.set: facts() for row in rows}
    command = "logmeta eval --data ../shared/data --out eval.json"
    return Board(Results(command, False, 3, 2, {"logmeta": "1.0"}, named, rows, skipped={"slow peer": "too slow"}))


def live_rows(ours: list[str], rival: list[str]) -> list[Row]:
    both = [row("live", method, ap=[0.5] * len(ours)) for method in ("logmeta", "bursts")]
    for one, found in zip(both, (ours, rival), strict=True):
        one.incidents = {"0.2": found}
        one.metrics |= {"found@0.2": [float(s.count("1")) for s in found], "chance@0.2": [1.0] * len(found)}
        one.metrics["keyword_free@0.2"] = [1.0] * len(found)
    return both


def test_equal_values_leave_no_width():
    assert interval([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5)


def test_an_interval_of_two_values_reaches_from_one_to_the_other():
    assert interval([0.0, 1.0]) == (0.5, 0.0, 1.0)  # a quarter of the resamples is all of either value


def test_no_defined_value_has_no_interval():
    assert interval([]) is None
    assert interval([None, None]) is None


def test_undefined_draws_are_left_out_in_pairs():
    assert paired_interval([0.9, None, 0.7], [0.6, 0.1, None]) == pytest.approx((0.3, 0.3, 0.3))


def test_a_constant_lead_is_sure_however_the_draws_swing():
    lead = paired_interval([0.1, 0.9, 0.5], [0.0, 0.8, 0.4])
    assert lead == pytest.approx((0.1, 0.1, 0.1))
    assert lead.is_clear


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=8))
def test_a_mean_lies_in_its_interval_and_the_interval_in_the_values(values):
    mean, low, high = interval(values)
    assert min(values) - 1e-9 <= low <= mean <= high <= max(values) + 1e-9


def test_a_mean_over_systems_weighs_each_system_once():
    assert over_systems([[1.0], [0.0, 0.0, 0.0], [None]]) == (0.5, 0.0, 1.0)


def test_one_system_with_equal_draws_has_no_width():
    assert over_systems([[0.4, 0.4]]) == pytest.approx((0.4, 0.4, 0.4))


def test_incidents_that_were_not_judged_are_left_out():
    assert incident_interval(["11-", "11-"]) == (2.0, 2.0, 2.0)
    assert incident_interval(["1-", "-1"]) == (2.0, 2.0, 2.0)
    assert incident_interval(["--"]) is None


def test_incidents_are_resampled_even_in_one_draw():
    assert incident_interval(["10"]) == (1.0, 0.0, 2.0)


def test_the_same_incidents_found_are_no_lead():
    assert paired_incident_interval(["1100", "0110"], ["1100", "0110"]) == (0.0, 0.0, 0.0)


def test_systems_add_up():
    assert total_incidents([["111"], ["00"], ["11"]]) == (5.0, 5.0, 5.0)
    assert total_incidents([["111"], ["11"]], [["000"], ["11"]]) == (3.0, 3.0, 3.0)


def test_equal_values_give_equal_intervals():
    values = [0.1, 0.7, 0.3, 0.9]
    assert interval(values) == interval(list(values))


def test_a_sweep_keeps_the_steps_that_keep_most_figures():
    found = {"a": (10.0, 50.0, 0.0), "b": (10.0, 50.0, 0.0), "c": (10.0, 50.0), "d": (0.0,)}
    assert common_sweeps(found) == ((10.0, 50.0, 0.0), ["a", "b"])  # 6 figures; two steps for three sets tie


@pytest.mark.parametrize(
    ("rival", "expected"), [([0.8, 0.8], "▲"), ([0.6, 0.9], "▲"), ([0.4, 0.8], "△"), ([0.5, 0.5], ""), ([0.1, 0.1], "")]
)
def test_a_cell_that_beats_logmeta_is_marked(rival, expected):
    asked = board([row("a", "logmeta", ap=[0.5, 0.5]), row("a", "keyword", ap=rival)])
    assert cell(asked, "a", LINES, "keyword", AP).wins == expected


def test_lower_is_better_for_calibration_and_nearest_for_the_false_alarm_rate():
    metrics = {m.name: m for m in UNITS}
    rows = [row("a", "logmeta", ece=[0.2], far=[0.02]), row("a", "keyword", ece=[0.1], far=[0.0])]
    assert cell(board(rows), "a", LINES, "keyword", metrics["ece"]).wins == "▲"
    assert cell(board(rows), "a", LINES, "keyword", metrics["far"]).wins == ""  # 0 % is as far from 1 % as 2 %
    assert cell(board(rows), "a", LINES, "logmeta", metrics["far"]).text == "2.00"


def test_only_draws_that_both_have_are_compared():
    ours, rival = row("a", "logmeta", ap=[0.5, 0.9]), row("a", "keyword", ap=[0.6])
    assert board([ours, rival]).lead(rival, ours, AP) == pytest.approx((0.1, 0.1, 0.1))


def test_a_figure_of_one_class_is_undefined():
    rows = [row("a", "logmeta", ap=[None, None]), row("a", "keyword", ap=[1.0, 1.0], prevalence=[1.0, 1.0])]
    asked = board(rows)
    assert [cell(asked, "a", LINES, m, AP).text for m in ("logmeta", "keyword")] == ["undefined", "undefined"]


def test_a_figure_that_some_draws_leave_undefined_says_so():
    asked = board([row("a", "logmeta", ap=[0.5, None])])
    assert cell(asked, "a", LINES, "logmeta", AP).text == "0.500 (1 of 2 draws)"


def test_nine_positives_carry_a_warning_and_ten_do_not():
    rows = [row(name, "logmeta", ap=[0.5]) for name in ("few", "enough")]
    asked = board(rows, few=facts(positives=9), enough=facts(positives=10))
    assert [cell(asked, n, LINES, "logmeta", AP).warn for n in ("few", "enough")] == ["⚠ <10", ""]


def test_positives_of_the_row_go_before_those_of_the_set():
    asked = board([row("a", "logmeta", WIDE, ap=[0.5], positives=[4.0])])
    assert cell(asked, "a", WIDE, "logmeta", AP).warn == "⚠ <10"


def test_a_set_for_auroc_only_shows_nothing_else():
    asked = board([row("a", "logmeta", ap=[0.9], auroc=[0.7])], a=facts(only_auroc=True))
    assert cell(asked, "a", LINES, "logmeta", AP).text == "AUROC only"
    assert cell(asked, "a", LINES, "logmeta", AUROC).text == "0.700"
    assert long_table(asked, "a", LINES).head == ("method", "AUROC")


def test_noisy_and_in_sample_sets_are_marked_and_left_out_of_means():
    rows = [row(name, "logmeta", ap=[ap]) for name, ap in (("sound", 0.5), ("loud", 0.9), ("seen", 1.0))]
    asked = board(rows, sound=facts(), loud=facts(noisy=True), seen=facts(in_sample=True))
    table = matrices(asked, LINES)[0]
    assert table.head == ("method", "mean of 1", "sound", "loud (noisy)", "seen (in-sample)")
    assert [c.text for c in table.rows[0]] == ["logmeta", "0.500", "0.500", "0.900", "1.000"]


def test_the_best_of_a_column_is_bold():
    asked = board([row("a", "logmeta", ap=[0.5]), row("a", "keyword", ap=[0.8])])
    ours, keyword = matrices(asked, LINES)[0].rows
    assert [ours[2].best, keyword[2].best] == [False, True]
    assert markdown_cell(keyword[2]) == "**0.800** **▲**"


def test_a_method_that_skipped_a_set_has_no_mean():
    rows = [row("a", "logmeta", ap=[0.5]), row("b", "logmeta", ap=[0.5]), row("a", "keyword", ap=[0.9])]
    assert matrices(board(rows), LINES)[0].rows[1][1].text == "1 of 2 sets"


def test_a_table_names_the_command_of_one_cell():
    asked = board([row("a", "logmeta", ap=[0.5]), row("a", "template rarity", ap=[0.5])])
    assert matrices(asked, LINES)[0].command == (
        "logmeta eval --data ../shared/data --sets a --methods 'template rarity' --k 200 --window line --draws 2 "
        "--seed 3 --out cell.json"
    )


def test_the_command_of_a_condition_tells_what_was_hidden_and_labelled():
    told = rerun(board([]), "a", "logmeta", Condition(50, "session", "session", contamination=0.05, labels=2))
    assert "--k 50 --window session --contamination 0.05 --labels 2 " in told


def test_a_live_system_tells_found_chance_and_by_how_much_a_rival_wins():
    asked = board(live_rows(["1100"] * 2, ["1111"] * 2), live=facts(incidents=4, keyword_free=3))
    system, total = live_table(asked, LINES).rows
    assert system[3].text.startswith("2/4 [")
    assert system[3].text.endswith("(1.0)")
    assert system[8] == Cell("1/3", 1.0, warn="⚠ <10")
    assert system[4].text == "bursts 4"
    assert re.fullmatch(r"wins \+2 \[\d\S*, \d\S*\]", system[4].wins)
    assert total[0].text == "all 1"


def test_a_rival_that_finds_no_more_does_not_win():
    asked = board(live_rows(["1100"], ["0011"]), live=facts(incidents=4))
    assert live_table(asked, LINES).rows[0][4].wins == ""
    assert rival_table(asked, LINES, FOUND["0.2"]).rows[1][1].text == "2"


def test_a_table_of_rivals_marks_the_winner():
    asked = board(live_rows(["0000"], ["1111"]), live=facts(incidents=4))
    ours, rival = rival_table(asked, LINES, FOUND["0.2"]).rows
    assert [ours[2].wins, rival[2].wins] == ["", "wins +4"]
    assert rival_table(asked, LINES, FOUND["own"]) is None


def test_more_lines_are_a_row_of_means():
    rows = [row(n, "logmeta", c, ap=[ap]) for n in "ab" for c, ap in ((LINES, 0.4), (ALL, 0.6))]
    table = sweep_tables(board(rows), "k")[0]
    assert table.head == ("method", "200", "all")
    assert [c.text for c in table.rows[0]] == ["logmeta", "0.400", "0.600"]
    assert "--k 200,0 " in table.command


def test_hidden_anomalies_are_compared_where_the_same_units_were_judged():
    hidden = [Condition(200, "line", "line", contamination=c, reserved=10) for c in (0.0, 0.01, 0.05)]
    rows = [row("a", "logmeta", c, ap=[ap]) for c, ap in zip([LINES, *hidden], (0.9, 0.8, 0.7, 0.6), strict=True)]
    table = sweep_tables(board(rows), "contamination")[0]
    assert table.head == ("method", "0%", "1%", "5%")
    assert [c.text for c in table.rows[0][1:]] == ["0.800", "0.700", "0.600"]


def test_labels_are_a_sweep_too():
    steps = [Condition(200, "line", "line", labels=n, reserved=5) for n in (0, 5)]
    rows = [row("a", "logmeta", c, ap=[0.5]) for c in steps]
    assert sweep_tables(board(rows), "labels")[0].head == ("method", "0", "5")


def test_an_ablation_is_what_the_part_adds():
    rows = [row("a", "logmeta", ap=[0.8, 0.6]), row("a", "no meta-learning", ap=[0.5, 0.3])]
    (part,) = ablation_tables(board(rows))[0].rows
    assert [c.text for c in part] == ["no meta-learning", "1", "+0.300"]


def test_every_place_where_a_rival_is_ahead_is_listed_largest_first():
    rows = [row(name, "logmeta", ap=[0.5]) for name in "abc"]
    rows += [row(name, "keyword", ap=[ap]) for name, ap in (("a", 0.6), ("b", 0.9), ("c", 0.5))]
    wins = all_wins(board(rows), AP, [LINES])
    assert [(win.name, win.method, round(win.lead.mean, 3)) for win in wins] == [
        ("b", "keyword", 0.4),
        ("a", "keyword", 0.1),
    ]


def test_wins_ties_and_losses_are_counted():
    rows = [row(name, "logmeta", ap=[0.5]) for name in "abc"]
    rows += [row(name, "keyword", ap=[ap]) for name, ap in (("a", 0.6), ("b", 0.5), ("c", 0.1))]
    assert tally_table(board(rows)).rows[0][1].text == "1 (1) / 1 / 1 (1)"


def test_a_loss_stands_in_the_first_sentences():
    rows = [row("a", "logmeta", ap=[0.5, 0.5]), row("a", "keyword", ap=[0.7, 0.7])]
    said = "".join(s if isinstance(s, str) else s.text for s in headlines(board(rows)).items[0].spans)
    assert "keyword, is ahead by 0.200." in said
    assert said.endswith("A rival has the higher AP on 1 of 1, clearly on 1: a (keyword +0.200).")


@pytest.mark.parametrize(
    ("rows", "sets"),
    [([], {}), ([row("a", "logmeta", ap=[1.0])], {}), ([row("a", "keyword", ap=[1.0])], {"a": facts()})],
)
def test_results_that_show_nothing_are_an_error(rows, sets):
    with pytest.raises(InputError, match="logmeta eval"):
        board_of(Results("", False, 0, 1, {}, sets, rows))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a|b", r"a\|b"), ("<b>", "&lt;b>"), ("⚠ <10", "⚠ <10"), ("`x` *y*", r"\`x\` \*y\*"), ("[a](b)", r"[a\](b)")],
)
def test_words_are_never_markup(text, expected):
    assert words(text) == expected


class Seen(HTMLParser):
    """Tags of a page, and everything that it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [v for k, v in attrs if k in ("src", "href", "xlink:href", "data") and not str(v).startswith("#")]
        self.ids += [v for k, v in attrs if k == "id"]


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A folder with the results of a set of a harmful name and with two reports of them."""
    folder = tmp_path_factory.mktemp("report")
    pytest.importorskip("matplotlib", reason="plots need the `eval` extra")
    rows = [
        row(HARMFUL, method, condition, ap=[0.5, 0.7], auroc=[0.8, 0.9], prevalence=[0.1, 0.1])
        for method in ("logmeta", HARMFUL)
        for condition in (LINES, ALL)
    ]
    for one in rows:
        one.curves = {"recall": [0.5, 1.0], "precision": [1.0, 0.5], "p_levels": [0.01, 1.0], "p_realised": [0.0, 1.0]}
    results = board([*rows, *live_rows(["10"], ["11"])], **{HARMFUL: facts(), "live": facts(incidents=2)}).results
    results.save(folder / "eval.json")
    for name in ("a", "b"):
        done = run(folder / "eval.json", "--html", folder / f"{name}.html", "--plots", folder / name)
        (folder / f"{name}.md").write_text(done.stdout, encoding="utf-8")
    return folder


def run(*args):
    app = typer.Typer()
    app.command()(report)
    done = CliRunner().invoke(app, [str(arg) for arg in args])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_the_html_page_loads_nothing(written):
    page = (written / "a.html").read_text(encoding="utf-8")
    assert Seen(page).loads == []
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    assert "default-src 'none'" in page


def test_a_harmful_name_is_only_text(written):
    page = (written / "a.html").read_text(encoding="utf-8")
    assert Seen(page).tags.count("script") == 1
    assert "<script>alert" not in page
    prose = [line for line in (written / "a.md").read_text(encoding="utf-8").splitlines() if line[:4] != "    "]
    assert not any("<script" in line for line in prose)


def test_no_two_parts_of_the_html_page_share_an_id_with_another_drawing(written):
    page = (written / "a.html").read_text(encoding="utf-8")
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    ids = [set(Seen(drawing).ids) for drawing in drawings]
    assert len(drawings) == 4
    assert sum(map(len, ids)) == len(set().union(*ids))


def test_two_reports_of_the_same_results_are_equal_bytes(written):
    plots = [{path.name: path.read_bytes() for path in (written / name).iterdir()} for name in ("a", "b")]
    assert plots[0] == plots[1]
    assert sorted(plots[0]) == ["calibration.svg", "few-shot.svg", "incidents.svg", "precision-recall-line.svg"]
    assert (written / "a.html").read_bytes().replace(b"/a", b"/b") == (written / "b.html").read_bytes().replace(
        b"/a", b"/b"
    )


def test_drawing_leaves_the_settings_of_matplotlib_alone(written):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    run(written / "eval.json", "--plots", written / "c")
    assert dict(mpl.rcParams) == before


def test_markdown_goes_to_stdout_and_words_to_stderr(written):
    done = run(written / "eval.json")
    assert done.stdout.startswith("# Measurements\n")
    assert done.stderr == ""
    to_file = run(written / "eval.json", "--out", written / "page.md")
    assert to_file.stdout == ""
    assert "wrote" in to_file.stderr


def test_links_to_plots_start_at_the_page():
    sources = Sources(Path("docs/results/eval.json"), out=Path("docs/benchmarks.md"), plots=Path("docs/plots"))
    assert sources.plots_from_page == "plots"
    assert sources.command == "logmeta report docs/results/eval.json --out docs/benchmarks.md --plots docs/plots"


def stands_in(table: Table, text: str) -> bool:
    title = escape(table.title) if table.folded else words(table.title)
    return f"{title}\n" in text or f"{title}</summary>" in text


def test_deep_tables_wait_for_a_full_page(written):
    asked = Sources(written / "eval.json")
    page, _ = built(asked)
    tables = [b for section in page.sections for b in section.blocks if isinstance(b, Table) and b.deep]
    short = markdown_of(page, asked)["page.md"]
    full = markdown_of(page, Sources(written / "eval.json", full=True))["page.md"]
    assert tables
    assert not any(stands_in(table, short) for table in tables)
    assert all(stands_in(table, full) for table in tables)


def test_what_is_too_long_for_the_page_has_a_file_of_its_own(written):
    asked = Sources(written / "eval.json", out=written / "page.md")
    page, _ = built(asked)
    texts = markdown_of(page, asked)
    tables = [b for s in page.sections if s.apart for b in s.blocks if isinstance(b, Table) and not b.deep]
    assert list(texts) == ["page.md", "page-by-set.md"]
    assert tables
    assert all(stands_in(table, texts["page-by-set.md"]) for table in tables)
    assert not any(stands_in(table, texts["page.md"]) for table in tables)


def test_without_matplotlib_plots_name_the_extra(written, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run(written / "eval.json").stdout
    with pytest.raises(UsageError, match=r"logmeta\[eval\]"):
        run(written / "eval.json", "--plots", written / "d")


def test_a_place_that_cannot_be_written_to_is_an_error(written):
    (written / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot write"):
        run(written / "eval.json", "--out", written / "taken" / "page.md")


def test_a_missing_results_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no results file"):
        run(tmp_path / "none.json")


def test_throughput_below_half_of_drain3_is_marked():
    table = next(b for b in throughput_section(RESULTS / "throughput.json").blocks if isinstance(b, Table))
    assert {r[0].text for r in table.rows if r[5].wins} == {r[0].text for r in table.rows if r[5].value < 0.5}


@pytest.mark.parametrize("section", [throughput_section, memory_section])
@pytest.mark.parametrize("content", [b"{}", b"[1]", b"no json", b'{"rounds": 1, "copies": 1, "results": [3]}'])
def test_a_damaged_file_of_speeds_is_an_error(tmp_path, section, content):
    (tmp_path / "speed.json").write_bytes(content)
    with pytest.raises(InputError, match="is no results file"):
        section(tmp_path / "speed.json")


def test_a_mean_turned_around_keeps_its_width():
    assert -Interval(1.0, 0.5, 3.0) == (-1.0, -3.0, -0.5)


def test_all_systems_together_join_lines_and_sessions_and_name_the_lead():
    sessions = Condition(k=200, window="session", granularity="session")
    rows = [
        row("a", "logmeta", ap=[0.8]),
        row("a", "bursts", ap=[0.5]),
        row("b", "logmeta", sessions, ap=[0.4]),
        row("b", "bursts", sessions, ap=[0.5]),
        row("a", "rarity", ap=[0.9]),
        row("noise", "logmeta", ap=[0.0]),
        row("a", "logmeta", WIDE, ap=[0.1]),
    ]
    sets = {"a": facts(), "b": facts(unit="session"), "noise": facts(noisy=True)}
    table = together_table(board(rows, **sets))
    assert table.head == ("method", "200 (2)")
    assert [[c.text for c in r] for r in table.rows] == [
        ["logmeta", "0.600 [0.400, 0.800]"],
        ["bursts", "0.500 (+0.100 [-0.100, +0.300])"],
    ]


def test_a_single_system_has_no_table_of_all_together():
    assert together_table(board([row("a", "logmeta", ap=[0.8])])) is None
