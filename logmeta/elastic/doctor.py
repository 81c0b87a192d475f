"""What annotation needs, checked one by one, each with its way out."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from statistics import median
from typing import Any, Literal

from elasticsearch import ApiError, Elasticsearch

from logmeta.elastic.client import OLDEST, Address, backend_errors, version
from logmeta.elastic.cluster import component, is_ours, pipeline, plugin_versions, steps
from logmeta.elastic.setup import INSTALL
from logmeta.elastic.templates import HOOK, MAPPINGS, PIPELINE, logmeta_mapping

SCORER_TIMEOUT_S = 5.0
CLOCKS_APART_S = 5.0
LAG_S = 60.0
RECENT = "now-15m"
MOST_SKIPPED = 0.01
LOGS = "logs-*"
AT, SCORED_AT = "@timestamp", "logmeta.scored_at"
Grade = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; `way_out` is empty when all is well. `bad` means that documents are not annotated as they should."""

    name: str
    grade: Grade
    found: str
    way_out: str = ""


def doctor(
    client: Elasticsearch, address: Address, *, scorer_url: str | None, token: str | None, plugin: bool = True
) -> list[Check]:
    """Everything annotation needs. Raises BackendError when Elasticsearch does not answer.

    `plugin` is False where documents are annotated from outside.
    """
    with backend_errors(address):
        checks = [_version(client), _clock(client), *_parts(client, plugin=plugin), *_mapping(client)]
        checks += [*_plugin(client), *_nodes_view(client)] if plugin else []
        checks += _flow(client)
    return checks if scorer_url is None else [*checks, *_scorer(scorer_url, token)]


def _version(client: Elasticsearch) -> Check:
    found = version(client)
    shown = f"Elasticsearch {'.'.join(map(str, found))}"
    if found >= OLDEST:
        return Check("version", "ok", shown)
    return Check("version", "bad", shown, f"upgrade to {'.'.join(map(str, OLDEST))} or later")


def _clock(client: Elasticsearch) -> Check:
    """The nodes' clocks against the one here: deadlines do not need it, the order of lines and `late` do."""
    nodes = client.nodes.stats(metric="os", filter_path="nodes.*.timestamp")["nodes"].values()
    apart = max(abs(node["timestamp"] / 1000 - time.time()) for node in nodes)
    return _apart("clock of the nodes", apart)


def _apart(name: str, apart_s: float) -> Check:
    if apart_s <= CLOCKS_APART_S:
        return Check(name, "ok", f"within {CLOCKS_APART_S:.0f} s of the one here")
    return Check(name, "warn", f"{apart_s:.0f} s from the one here", "synchronise the clocks (NTP)")


def _parts(client: Elasticsearch, *, plugin: bool) -> Iterator[Check]:
    """What `logmeta elastic setup` puts."""
    there = {f"template {MAPPINGS}": component(client, MAPPINGS) is not None}
    if plugin:
        there[f"pipeline {PIPELINE}"] = pipeline(client, PIPELINE) is not None
        there[f"hook {HOOK}"] = any(map(is_ours, steps(pipeline(client, HOOK))))
    for name, is_there in there.items():
        yield Check(name, "ok", "there") if is_there else Check(name, "bad", "missing", "run logmeta elastic setup")


def _mapping(client: Elasticsearch) -> Iterator[Check]:
    """Whether the fields in every `logs-*` stream have the types of the template: a stream may be older than it."""
    wanted = dict(_types(logmeta_mapping(), "logmeta"))
    found = client.field_caps(index=LOGS, fields="logmeta.*", allow_no_indices=True, ignore_unavailable=True)["fields"]
    wrong = {name: sorted(set(found[name]) - {kind, "unmapped"}) for name, kind in wanted.items() if name in found}
    wrong = {name: kinds for name, kinds in wrong.items() if kinds}
    if not wrong:
        yield Check("mapping", "ok", f"as the template has it in {LOGS}")
    for name, kinds in list(wrong.items())[:5]:
        indices = [place for kind in kinds for place in found[name][kind].get("indices", [LOGS])]
        words = f"{name} is {' and '.join(kinds)} in {', '.join(indices[:3])}"
        yield Check("mapping", "bad", words, "roll these data streams over: POST NAME/_rollover")


def _types(mapping: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for name, field in mapping["properties"].items():
        if "properties" in field:
            yield from _types(field, f"{path}.{name}")
        else:
            yield f"{path}.{name}", field["type"]


def _plugin(client: Elasticsearch) -> Iterator[Check]:
    """Every node that runs pipelines has the plugin, and all have the same."""
    found = plugin_versions(client)
    without = [name for name, has in found.items() if has is None]
    versions = sorted({has for has in found.values() if has is not None})
    if without:
        yield Check("plugin", "bad", f"none on node(s) {', '.join(without)}", INSTALL)
    elif len(versions) > 1:
        yield Check(
            "plugin", "warn", f"versions {', '.join(versions)} side by side", "finish the upgrade on every node"
        )
    else:
        yield Check("plugin", "ok", f"{', '.join(versions)} on every ingest node")


def _nodes_view(client: Elasticsearch) -> Iterator[Check]:
    """How each node fares with its scorers: what it was told last, and whether it still asks."""
    try:
        headers = {"accept": "application/json"}
        nodes = client.perform_request("GET", "/_logmeta/stats", headers=headers).body["nodes"].values()
    except ApiError as error:
        yield Check("scorers, from the nodes", "warn", f"GET _logmeta/stats answers {error.meta.status}", INSTALL)
        return
    for node in nodes:
        for scorer in node["scorers"]:
            yield _seen_from(node["name"], scorer)


def _seen_from(node: str, scorer: dict[str, Any]) -> Check:
    name = f"scorer {scorer['url']}, from node {node}"
    told = str(scorer.get("last_failure") or "")
    if scorer["breaker"] == "closed":
        return Check(name, "ok", "asked" + (f"; last failure, by now over: {told[:120]}" if told else ""))
    refused = "401" in told or "403" in told
    token = "put the scorer's token into logmeta.auth.token, then POST _nodes/reload_secure_settings"
    return Check(name, "bad", f"not asked any more: {told[:200]}", token if refused else "start it, or see its log")


def _flow(client: Elasticsearch) -> Iterator[Check]:
    """What became of the documents of the last quarter of an hour."""
    try:
        found = _recent(client)
    except ApiError as error:
        if error.meta.status != 400:
            raise
        yield Check("documents", "warn", f"cannot be counted: {error.message}", "see the mapping above")
        return
    total = found["hits"]["total"]["value"]
    if not total:
        yield Check("documents", "warn", f"none in {LOGS} since {RECENT}", "send some, then run this again")
        return
    statuses = {bucket["key"]: bucket["doc_count"] for bucket in found["aggregations"]["by"]["buckets"]}
    yield _annotated(total, statuses)
    yield _skipped(total, statuses, [bucket["key"] for bucket in found["aggregations"]["why"]["buckets"]])
    yield from _lag([hit["fields"] for hit in found["hits"]["hits"]])


def _recent(client: Elasticsearch) -> dict[str, Any]:
    """How many documents came, by status and reason, and the times of the latest."""
    by: dict[str, Any] = {"by": {"terms": {"field": "logmeta.status"}}}
    by["why"] = {"terms": {"field": "logmeta.reason", "size": 3}}
    found: dict[str, Any] = client.search(
        index=LOGS,
        query={"range": {AT: {"gte": RECENT}}},
        aggs=by,
        size=100,
        sort=[{AT: {"order": "desc", "unmapped_type": "date"}}],
        source=False,
        fields=[{"field": name, "format": "epoch_millis"} for name in (AT, SCORED_AT)],
        track_total_hits=True,
        allow_no_indices=True,
        ignore_unavailable=True,
    ).body
    return found


def _annotated(total: int, statuses: dict[str, int]) -> Check:
    bare = total - sum(statuses.values())
    if not bare:
        return Check("documents", "ok", f"all {total:,} since {RECENT} went through")
    way_out = f"their index needs the pipeline: default_pipeline, or {HOOK} in their own"
    return Check("documents", "warn", f"{bare:,} of {total:,} since {RECENT} carry no logmeta.status", way_out)


def _skipped(total: int, statuses: dict[str, int], reasons: list[str]) -> Check:
    skipped = statuses.get("skipped", 0)
    shown = f"{skipped:,} of {total:,} since {RECENT}"
    if skipped <= MOST_SKIPPED * total:
        return Check("skipped", "ok", shown)
    way_out = "see the reason in docs/elasticsearch.md; catch them up with logmeta elastic annotate --missing"
    return Check("skipped", "bad", f"{shown}: {', '.join(reasons)}", way_out)


def _lag(documents: list[dict[str, list[str]]]) -> Iterator[Check]:
    """How long after its own time a line is scored: shippers that are behind, or clocks that are wrong."""
    pairs = [(times[SCORED_AT][0], times[AT][0]) for times in documents if SCORED_AT in times]
    lags = [(float(scored) - float(at)) / 1000 for scored, at in pairs]
    if not lags:
        return
    behind = median(lags)
    if abs(behind) <= LAG_S:
        yield Check(
            "lag", "ok", f"lines are scored {behind:.1f} s after their own time (median of the last {len(lags)})"
        )
    else:
        yield Check("lag", "warn", f"lines are scored {behind:.0f} s after their own time", "see the shippers' queues")


def _scorer(url: str, token: str | None) -> Iterator[Check]:
    name, way_out = "scorer, from here", "start it with logmeta serve, or correct --scorer-url and the token"
    try:
        date = _get(url, "/readyz", token).headers["Date"]
        _get(url, "/v1/detectors", token)
    except urllib.error.HTTPError as error:
        yield Check(name, "bad", f"{error.url} answers {error.code}", way_out)
        return
    except (OSError, ValueError) as error:
        yield Check(name, "bad", f"no scorer answers at {url}: {getattr(error, 'reason', error)}", way_out)
        return
    yield Check(name, "ok", f"{url} is ready")
    if date:
        yield _apart("clock of the scorer", abs(parsedate_to_datetime(date).timestamp() - time.time()))


def _get(url: str, path: str, token: str | None) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(
        urllib.request.Request(url.rstrip("/") + path, headers=headers), timeout=SCORER_TIMEOUT_S
    ) as answer:
        return answer
