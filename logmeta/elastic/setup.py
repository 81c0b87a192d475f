"""Put what annotation needs into a cluster, and take it out again.

Every step may be repeated. What others put into `logs@custom` stays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from elasticsearch import ApiError, Elasticsearch, NotFoundError

from logmeta.elastic.client import Address, backend_errors
from logmeta.elastic.templates import (
    HOOK,
    MAPPINGS,
    META,
    OWN_STREAMS,
    PIPELINE,
    PLAIN_LOGS,
    TAG,
    logmeta_mapping,
    mappings_template,
    own_streams_template,
    plain_logs_template,
    processor,
)
from logmeta.errors import BackendError
from logmeta.records import JsonValue

SETTING_URLS = "logmeta.scorer.urls"
WORDS = "Scores log lines with logmeta."
INSTALL = "run bin/elasticsearch-plugin install on each with the zip of its version, then restart it"
DEFAULT_FIELDS = ("message", "event.original", "body.text")
DEFAULT_SOURCE_FIELD = "data_stream.dataset"


@dataclass(frozen=True, slots=True)
class Options:
    """What the pipeline reads from a document, and where the nodes find the scorers.

    Without the plugin there is no pipeline: only the types of our fields and the template of our own streams are put.
    """

    source_field: str = DEFAULT_SOURCE_FIELD
    fields: Sequence[str] = DEFAULT_FIELDS
    scorer_urls: Sequence[str] = ()
    plugin: bool = True


def setup(client: Elasticsearch, address: Address, options: Options | None = None) -> list[str]:
    """Put templates, pipeline and hook; returns what was put. Raises BackendError."""
    options = options or Options()
    with backend_errors(address):
        if not options.plugin:
            return _put_types(client)
        _need_plugin(client, address)
        if options.scorer_urls:
            client.cluster.put_settings(persistent={SETTING_URLS: list(options.scorer_urls)})
        done = _put_types(client)
        step = processor(options.source_field, options.fields)
        _put(client, f"_ingest/pipeline/{PIPELINE}", {"description": WORDS, "processors": [step], "_meta": META})
        _put_hook_pipeline(client, step)
        done += [PIPELINE, f"{HOOK} (pipeline)"]
        if not _others_serve_logs(client):
            _put(client, f"_index_template/{PLAIN_LOGS}", plain_logs_template())
            done.append(PLAIN_LOGS)
    return done


def teardown(client: Elasticsearch, address: Address) -> list[str]:
    """Take out what `setup` put, in the order in which nothing breaks; returns what is left to do by hand."""
    with backend_errors(address):
        left = [note for name in (HOOK, PIPELINE) if (note := _drop_steps(client, name))]
        client.cluster.put_settings(persistent={"logmeta.*": None})
        kept = [name for name in (PLAIN_LOGS, OWN_STREAMS) if not _delete_template(client, name)]
        if not kept:
            _shrink_hook_mappings(client)
            _delete_component(client, MAPPINGS)
    return [
        *left,
        *(f"index template {name} serves data streams: delete these, then run this again" for name in kept),
        "on each node: bin/elasticsearch-keystore remove logmeta.auth.token (when it was set)",
        "on each node: remove logmeta.* from elasticsearch.yml, bin/elasticsearch-plugin remove logmeta, restart",
    ]


def pipeline_steps(client: Elasticsearch, name: str) -> list[JsonValue] | None:
    """The processors of a pipeline, None when there is none of that name."""
    body = _pipeline(client, name)
    return None if body is None else _steps(body)


def is_ours(step: JsonValue) -> bool:
    """Whether a pipeline step is the one that `setup` put."""
    options = step.get("logmeta") if isinstance(step, dict) else None
    return isinstance(options, dict) and options.get("tag") == TAG


def _need_plugin(client: Elasticsearch, address: Address) -> None:
    without = nodes_without_plugin(client)
    if without:
        raise BackendError(f"{address.url}: no logmeta plugin on node(s) {', '.join(without)}; {INSTALL}")


def nodes_without_plugin(client: Elasticsearch) -> list[str]:
    """Names of the nodes that run pipelines and lack the plugin."""
    nodes = client.nodes.info(metric="plugins", filter_path="nodes.*.name,nodes.*.roles,nodes.*.plugins.name")["nodes"]
    ingest = [node for node in nodes.values() if "ingest" in node.get("roles", ["ingest"])]
    return [node["name"] for node in ingest if "logmeta" not in [plugin["name"] for plugin in node.get("plugins", [])]]


def _put_types(client: Elasticsearch) -> list[str]:
    """The types of our fields, and the template of our own streams."""
    _put(client, f"_component_template/{MAPPINGS}", mappings_template())
    _extend_hook_mappings(client)
    _put(client, f"_index_template/{OWN_STREAMS}", own_streams_template())
    return [MAPPINGS, f"{HOOK} (mappings)", OWN_STREAMS]


def _extend_hook_mappings(client: Elasticsearch) -> None:
    """Our fields into the component template `logs@custom`, beside what others have there."""
    body = _component(client, HOOK)
    mappings = _child(_child(body, "template"), "mappings")
    _child(mappings, "properties")["logmeta"] = logmeta_mapping()
    _put(client, f"_component_template/{HOOK}", _known(body))


def _shrink_hook_mappings(client: Elasticsearch) -> None:
    body = _component(client, HOOK)
    _child(_child(_child(body, "template"), "mappings"), "properties").pop("logmeta", None)
    if any(_is_filled(value) for value in body.values()):
        _put(client, f"_component_template/{HOOK}", _known(body))
    else:
        _delete_component(client, HOOK)


def _put_hook_pipeline(client: Elasticsearch, step: dict[str, JsonValue]) -> None:
    """Our step into the pipeline `logs@custom`: in its old place, or last."""
    body = _pipeline(client, HOOK) or {"description": "Custom steps for logs; logmeta keeps one of them."}
    steps = _steps(body)
    places = [place for place, other in enumerate(steps) if is_ours(other)]
    kept = [other for place, other in enumerate(steps) if place not in places[1:]]
    if places:
        kept[places[0]] = step
    else:
        kept.append(step)
    body["processors"] = list(kept)
    _write_pipeline(client, HOOK, body)


def _drop_steps(client: Elasticsearch, name: str) -> str | None:
    """Our steps out of a pipeline, and the pipeline too when nothing is left and no index names it.

    A pipeline that an index names stays, empty: without it every document of that index would fail.
    """
    body = _pipeline(client, name)
    if body is None:
        return None
    body["processors"] = [step for step in _steps(body) if not is_ours(step)]
    users = _users(client, name)
    if body["processors"] or users:
        _write_pipeline(client, name, body)
    else:
        client.ingest.delete_pipeline(id=name)
    return f"pipeline {name} stays, without our step: {', '.join(users[:5])} name it" if users else None


def _write_pipeline(client: Elasticsearch, name: str, body: dict[str, JsonValue]) -> None:
    kept = {key: value for key, value in body.items() if not key.endswith(("_date", "_date_millis"))}
    _put(client, f"_ingest/pipeline/{name}", kept)


def _put(client: Elasticsearch, path: str, body: dict[str, JsonValue]) -> None:
    headers = {"accept": "application/json", "content-type": "application/json"}
    client.perform_request("PUT", f"/{path}", headers=headers, body=body)


def _users(client: Elasticsearch, pipeline: str) -> list[str]:
    """Indices that name the pipeline as their default or final one."""
    wanted = "*.settings.index.*_pipeline"
    settings = client.indices.get_settings(index="*", expand_wildcards="all", filter_path=wanted).body
    return sorted(name for name, index in settings.items() if pipeline in index["settings"]["index"].values())


def _others_serve_logs(client: Elasticsearch) -> bool:
    templates = client.indices.get_index_template()["index_templates"]
    patterns = {
        pattern
        for template in templates
        if template["name"] != PLAIN_LOGS
        for pattern in template["index_template"]["index_patterns"]
    }
    return bool(patterns & {"logs-*-*", "logs-*", "logs*"})


def _pipeline(client: Elasticsearch, name: str) -> dict[str, JsonValue] | None:
    try:
        found: dict[str, JsonValue] = client.ingest.get_pipeline(id=name).body[name]
    except NotFoundError:
        return None
    return found


def _component(client: Elasticsearch, name: str) -> dict[str, JsonValue]:
    try:
        found = client.cluster.get_component_template(name=name)["component_templates"]
    except NotFoundError:
        return {"template": {}}
    body: dict[str, JsonValue] = found[0]["component_template"]
    return body


def _known(body: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {key: body[key] for key in ("template", "version", "_meta") if key in body}


def _steps(body: dict[str, JsonValue]) -> list[JsonValue]:
    steps = body.get("processors", [])
    return list(steps) if isinstance(steps, list) else []


def _child(parent: dict[str, JsonValue], key: str) -> dict[str, JsonValue]:
    child = parent.setdefault(key, {})
    if not isinstance(child, dict):
        raise BackendError(f"{key!r} in the component template {HOOK} is not an object; repair the template first")
    return child


def _is_filled(value: JsonValue) -> bool:
    return any(map(_is_filled, value.values())) if isinstance(value, dict) else value not in (None, [], "")


def _delete_component(client: Elasticsearch, name: str) -> None:
    with contextlib.suppress(NotFoundError):
        client.cluster.delete_component_template(name=name)


def _delete_template(client: Elasticsearch, name: str) -> bool:
    """False when data streams still need it."""
    try:
        client.indices.delete_index_template(name=name)
    except NotFoundError:
        return True
    except ApiError as error:
        if error.meta.status == 400 and "in use by" in str(error):
            return False
        raise
    return True
