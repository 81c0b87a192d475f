"""The published measurements are the results files."""

from __future__ import annotations

from pathlib import Path

import pytest

from logmeta.evaluate.tables.card import with_figures
from logmeta.evaluate.tables.command import Sources, built, markdown_of, svgs

ROOT = Path(__file__).parents[2]
RESULTS = Path("docs") / "results"
SOURCES = Sources(
    RESULTS / "eval.json",
    throughput=RESULTS / "throughput.json",
    memory=RESULTS / "memory.json",
    out=Path("docs") / "benchmarks.md",
    plots=Path("docs") / "plots",
)
AGAIN = f"the page is not what the results say; write it with: {SOURCES.command} --card logmeta/pretrained/README.md"


@pytest.fixture(scope="module")
def published():
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield built(SOURCES)


def test_the_page_of_measurements_is_what_the_results_files_say(published):
    page, _ = published
    written = markdown_of(page, SOURCES)
    assert list(written) == ["benchmarks.md", "benchmarks-by-set.md"]
    for name, text in written.items():
        assert text == (ROOT / "docs" / name).read_text(encoding="utf-8"), AGAIN


def test_the_models_card_shows_the_figures_of_the_results_file(published):
    page, _ = published
    card = (ROOT / "logmeta" / "pretrained" / "README.md").read_text(encoding="utf-8")
    assert "## Figures" in card
    assert with_figures(card, page) == card, AGAIN


def test_the_plots_are_what_the_results_files_say(published):
    pytest.importorskip("matplotlib", reason="plots need the `eval` extra")
    _, drawings = published
    on_file = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "plots").glob("*.svg")}
    assert svgs(drawings) == on_file, AGAIN
