"""What many tests share: the fixture logs, the shipped base model, a detector onboarded from 200 ordinary lines."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"


def gz_lines(path: Path, count: int) -> list[str]:
    """The first lines of a gz file, without their line breaks."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line, _ in zip(file, range(count), strict=False)]


@pytest.fixture(scope="session")
def formats() -> Path:
    """Folder of real logs of other systems."""
    return FIXTURES / "formats"


@pytest.fixture(scope="session")
def ordinary() -> list[str]:
    """200 ordinary lines of the PostgreSQL log."""
    return gz_lines(FIXTURES / "postgresql" / "normal.log.gz", 200)


@pytest.fixture(scope="session")
def test_log() -> list[str]:
    """The first 3,000 lines of the PostgreSQL test log; two incidents lie in them."""
    return gz_lines(FIXTURES / "postgresql" / "test.log.gz", 3_000)


@pytest.fixture(scope="session")
def killed() -> str:
    """A line of the PostgreSQL log that only a broken program says."""
    return "2026-11-22 17:00:06.000 UTC [18335] LOG:  server process (PID 28281) was terminated by signal 9: Killed"


@pytest.fixture(scope="session")
def base():
    """The shipped base model."""
    from logmeta import MetaModel

    return MetaModel.from_pretrained()


@pytest.fixture(scope="session")
def detector(base, ordinary):
    """A detector of PostgreSQL; scoring leaves it as it is, so every test may use it."""
    return base.onboard(ordinary, source="postgresql")


@pytest.fixture(scope="session")
def detector_folder(detector, tmp_path_factory) -> Path:
    """The detector's folder; a test that changes it works on a copy."""
    folder = tmp_path_factory.mktemp("detectors") / "postgresql"
    detector.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def scored(detector, test_log):
    """The test log, scored once."""
    return list(detector.score(test_log))


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    """A build that must not skip says so by LOGMETA_NO_SKIPS=1; only tests that need data kept elsewhere may."""
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if "shared_data" not in r.keywords]
    if os.environ.get("LOGMETA_NO_SKIPS") == "1" and skipped:
        names = ", ".join(report.nodeid for report in skipped[:5])
        terminalreporter.write_line(f"LOGMETA_NO_SKIPS=1, but {len(skipped)} tests were skipped: {names}", red=True)


def pytest_sessionfinish(session, exitstatus):
    """See `pytest_terminal_summary`: skips where none may be make the run fail."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    refused = [report for report in skipped if "shared_data" not in report.keywords]
    if os.environ.get("LOGMETA_NO_SKIPS") == "1" and refused and exitstatus == 0:
        session.exitstatus = 1
