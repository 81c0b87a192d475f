"""How a scorer is run, and every bound it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from logmeta.elastic.client import Address
from logmeta.elastic.registry import INDEX

Onboarding = Literal["auto", "approve", "off"]
REFRESH_LINES: Final = 2_000


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """One scorer process. Each `max_*` is a bound with a counter that shows when it was reached."""

    detectors: Path
    host: str = "127.0.0.1"
    port: int = 9750
    token: str | None = field(default=None, repr=False)
    base: Path | None = None
    onboarding: Onboarding = "auto"
    shared: Address | None = None
    shared_index: str = INDEX
    shared_every_s: float = 5.0
    learn_lines: int = 200
    learn_bytes: int = 4 * 2**20
    learn_retry_s: float = 300.0
    late_after_s: float = 60.0
    refresh_lines: int = REFRESH_LINES
    max_sources: int = 1_000
    max_learning: int = 100
    max_sessions: int = 200
    max_late_streams: int = 50_000
    max_body_bytes: int = 32 * 2**20
    max_waiting_documents: int = 50_000
    max_waiting_bytes: int = 128 * 2**20
    max_batch_documents: int = 2048
    max_onboarding: int = 16
    max_source_labels: int = 100
