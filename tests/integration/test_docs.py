"""The documentation is run: the tutorial's blocks in order, and every command and option is documented."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from logmeta.cli import app
from logmeta.elastic.node import free_port
from logmeta.elastic.templates import logmeta_mapping
from logmeta.serve.metrics import Metrics

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TUTORIAL_PORT = "9750"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s#]+)(?:#([\w-]+))?\)")


def blocks(page: Path) -> list[tuple[str, str]]:
    """(language, text) of a page's fenced blocks, in order."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def is_shown_in(expected: str, line: str) -> bool:
    """Whether the parts of `expected` between `...` occur in the line in their order; blanks count as one."""
    parts = [re.escape(" ".join(part.split())) for part in expected.split("...")]
    return re.search(".*?".join(parts), " ".join(line.split())) is not None


def missing_lines(expected: str, output: str) -> list[str]:
    """The lines of a `text` block that its command did not print."""
    wanted = [line for line in expected.splitlines() if line.strip(". ")]
    return [line for line in wanted if not any(is_shown_in(line, shown) for shown in output.splitlines())]


@pytest.fixture
def scratch(tmp_path) -> Iterator[Path]:
    """A directory with the repository's fixtures linked in; a scorer left running there is ended."""
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    yield tmp_path
    left = tmp_path / "serve.pid"
    if left.exists():
        subprocess.run(["kill", left.read_text().strip()], check=False, stderr=subprocess.DEVNULL)


def run(language: str, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A block as a reader would run it, with wide tables and no settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOGMETA_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    shell = ["bash", "-euo", "pipefail", "-c", code]
    return subprocess.run(
        shell if language == "sh" else [sys.executable, "-c", code],
        cwd=folder,
        env={**kept, "PATH": path, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )


@pytest.mark.timeout(1200)
def test_every_block_of_the_tutorial_runs_and_prints_what_the_page_shows(scratch):
    port, output = str(free_port()), ""  # the page's own port may be taken here
    for language, code in blocks(DOCS / "tutorial.md"):
        code = code.replace(TUTORIAL_PORT, port)
        if language == "text":
            assert missing_lines(code, output) == [], f"printed was:\n{output}"
        elif language in ("sh", "python"):
            done = run(language, code, scratch)
            output = done.stdout
            assert done.returncode == 0, f"{code}\nended with {done.returncode}:\n{output}"


def test_every_block_of_the_adapters_page_runs_and_prints_what_the_page_shows(scratch):
    output = ""
    for language, code in blocks(DOCS / "compat.md"):
        if language == "text":
            assert missing_lines(code, output) == [], f"printed was:\n{output}"
        elif language == "python":
            done = run(language, code, scratch)
            output = done.stdout
            assert done.returncode == 0, f"{code}\nended with {done.returncode}:\n{output}"


def test_a_shown_line_may_leave_out_parts_but_not_change_any():
    assert missing_lines("a ... d\n...\nb", "x a b  c d\nb") == []
    assert missing_lines("a ... d\nx", "d c b a") == ["a ... d", "x"]


def commands(command, name: str) -> Iterator[tuple[str, object]]:
    """Every command below `command` by its full name."""
    below = getattr(command, "commands", {})
    if not below:
        yield name, command
    for word, sub in below.items():
        yield from commands(sub, f"{name} {word}")


def section_of(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of any level. One may be for several commands: `a b|c|d`."""
    group, _, word = heading.rpartition(" ")
    name = rf"{re.escape(group)} (?:[\w|]+\|)?{re.escape(word)}\b[^\n`]*"
    found = re.search(rf"^#+ `{name}`\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"configuration.md has no heading `{heading}`"
    return found[1]


@pytest.mark.parametrize(("name", "command"), list(commands(typer.main.get_group(app), "logmeta")))
def test_every_command_and_option_is_documented(name, command):
    documented = section_of((DOCS / "configuration.md").read_text(encoding="utf-8"), name)
    options = [flag for p in command.params if p.param_type_name == "option" for flag in (*p.opts, *p.secondary_opts)]
    assert [flag for flag in options if f"`{flag}`" not in documented] == []


def test_every_field_of_a_scored_line_is_documented():
    schema = json.loads((DOCS / "schema" / "scored-line.schema.json").read_text(encoding="utf-8"))
    documented = (DOCS / "configuration.md").read_text(encoding="utf-8").partition("## Fields of a scored line")[2]
    assert [name for name in schema["properties"] if f"`{name}`" not in documented] == []


def leaves(mapping, path: str = "logmeta") -> Iterator[str]:
    """Every field of an Elasticsearch mapping by its full name."""
    for name, field in mapping["properties"].items():
        yield from leaves(field, f"{path}.{name}") if "properties" in field else [f"{path}.{name}"]


@pytest.mark.parametrize("field", list(leaves(logmeta_mapping())))
def test_every_field_in_elasticsearch_is_documented(field):
    table = (DOCS / "elasticsearch.md").read_text(encoding="utf-8").partition("## Fields")[2]
    parent, _, leaf = field.rpartition(".")
    row = next((row for row in table.splitlines() if f"`{field}`" in row), None)
    row = row or next((row for row in table.splitlines() if f"`{parent}." in row and f"`.{leaf}`" in row), None)
    assert row is not None


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_link_of_a_page_leads_somewhere(page):
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        found = page.parent / target
        assert found.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.name} links to {target}#{anchor}"


def test_every_metric_of_the_scorer_is_documented_and_every_documented_one_exists():
    documented = set(re.findall(r"^\|.*?\|", (DOCS / "metrics.md").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for cell in documented for name in re.findall(r"`(\w+)`", cell)}
    families = Metrics(max_source_labels=1).registry.collect()
    exposed = {f"{f.name}_total" if f.type == "counter" else f.name for f in families}
    assert exposed == named
