"""What annotation needs, checked one by one, each with its way out."""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass

from elasticsearch import Elasticsearch

from logmeta.elastic.client import OLDEST, Address, backend_errors, version
from logmeta.elastic.setup import INSTALL, is_ours, nodes_without_plugin, pipeline_steps
from logmeta.elastic.templates import HOOK, MAPPINGS, PIPELINE

SCORER_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; `way_out` is empty when all is well."""

    name: str
    ok: bool
    found: str
    way_out: str = ""


def doctor(client: Elasticsearch, address: Address, *, scorer_url: str | None, token: str | None) -> list[Check]:
    """Everything annotation needs. Raises BackendError when Elasticsearch does not answer."""
    with backend_errors(address):
        checks = [_version(client), _plugin(client), *_parts(client)]
    return checks if scorer_url is None else [*checks, _scorer(scorer_url, token)]


def scorer_problem(url: str, token: str | None) -> str | None:
    """Why the scorer cannot be used from here; None when it can."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    path = ""
    try:
        for path in ("/readyz", "/v1/detectors"):
            request = urllib.request.Request(url.rstrip("/") + path, headers=headers)
            urllib.request.urlopen(request, timeout=SCORER_TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        return f"{url}{path} answers {error.code}"
    except (OSError, ValueError) as error:
        return f"no scorer answers at {url}: {getattr(error, 'reason', error)}"
    return None


def _version(client: Elasticsearch) -> Check:
    found = version(client)
    way_out = "" if found >= OLDEST else f"upgrade to {'.'.join(map(str, OLDEST))} or later"
    return Check("version", found >= OLDEST, f"Elasticsearch {'.'.join(map(str, found))}", way_out)


def _plugin(client: Elasticsearch) -> Check:
    """Every node that runs pipelines has the plugin."""
    without = nodes_without_plugin(client)
    if without:
        return Check("plugin", False, f"no logmeta plugin on node(s) {', '.join(without)}", INSTALL)
    return Check("plugin", True, "on every ingest node")


def _parts(client: Elasticsearch) -> list[Check]:
    """What `logmeta elastic setup` puts."""
    there = {
        f"pipeline {PIPELINE}": pipeline_steps(client, PIPELINE) is not None,
        f"hook {HOOK}": any(map(is_ours, pipeline_steps(client, HOOK) or [])),
        f"template {MAPPINGS}": client.cluster.exists_component_template(name=MAPPINGS).meta.status == 200,
    }
    way_out = "run logmeta elastic setup"
    return [Check(name, ok, "there" if ok else "missing", "" if ok else way_out) for name, ok in there.items()]


def _scorer(url: str, token: str | None) -> Check:
    problem = scorer_problem(url, token)
    way_out = "start it with logmeta serve, or correct --scorer-url and the token" if problem else ""
    return Check("scorer", not problem, problem or f"{url} is ready", way_out)
