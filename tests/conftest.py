"""What many tests share: the fixture logs, the shipped base model, a detector onboarded from 200 ordinary lines."""

from __future__ import annotations

import gzip
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
