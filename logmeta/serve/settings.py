"""How a scorer is run, and every bound it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from logmeta.elastic.client import Address
from logmeta.elastic.registry import INDEX
from logmeta.lineage import KEEP_VERSIONS
from logmeta.registry import Response
from logmeta.serve.delivery.settings import WebhookSettings
from logmeta.serve.tokens import Tokens

Onboarding = Literal["auto", "approve", "off"]
REFRESH_LINES: Final = 2_000


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """One scorer process. Each `max_*` is a bound with a counter that shows when it was reached."""

    detectors: Path
    host: str = "127.0.0.1"
    port: int = 9750
    unix_socket: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tokens: Tokens | None = field(default=None, repr=False)
    base: Path | None = None
    onboarding: Onboarding = "auto"
    privacy: bool = True
    shared: Address | None = None
    shared_index: str = INDEX
    shared_every_s: float = 5.0
    learn_lines: int = 200
    learn_bytes: int = 4 * 2**20
    learn_retry_s: float = 300.0
    late_after_s: float = 60.0
    refresh_lines: int = REFRESH_LINES
    respond: Response = "notify"
    keep_versions: int = KEEP_VERSIONS
    warm: int = 200
    grace_s: float = 20.0
    notice_s: float = 0.5
    read_s: float = 30.0
    keep_alive_s: int = 75
    max_connections: int = 1_000
    max_learning: int = 100
    max_sources: int = 1_000
    max_open: int = 1_000
    max_memory_mib: int = 2_048
    max_late_streams: int = 50_000
    max_body_bytes: int = 32 * 2**20
    max_reading_bytes: int = 128 * 2**20
    max_waiting_documents: int = 20_000
    max_waiting_bytes: int = 128 * 2**20
    max_batch_documents: int = 2048
    max_onboarding: int = 16
    max_source_labels: int = 100
    webhook: WebhookSettings | None = None

    @property
    def name(self) -> str:
        """What tells this scorer apart from others that share its folder of detectors."""
        return self.unix_socket.stem if self.unix_socket else str(self.port)
