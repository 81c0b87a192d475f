"""What a cluster holds, as plain JSON: templates, pipelines, settings, plugins. Call inside `backend_errors`."""

from __future__ import annotations

import contextlib

from elasticsearch import Elasticsearch, NotFoundError

from logmeta.elastic.templates import PLAIN_LOGS, TAG
from logmeta.records import JsonValue

Body = dict[str, JsonValue]
PLUGIN = "logmeta"


def pipeline(client: Elasticsearch, name: str) -> Body | None:
    """A pipeline without the dates that Elasticsearch adds, None when there is none of that name."""
    try:
        found: Body = client.ingest.get_pipeline(id=name).body[name]
    except NotFoundError:
        return None
    return {key: value for key, value in found.items() if not key.endswith(("_date", "_date_millis"))}


def component(client: Elasticsearch, name: str) -> Body | None:
    """A component template without the dates that Elasticsearch adds, None when there is none of that name."""
    try:
        found = client.cluster.get_component_template(name=name)["component_templates"]
    except NotFoundError:
        return None
    body: Body = found[0]["component_template"]
    return {key: body[key] for key in ("template", "version", "_meta") if key in body}


def index_template(client: Elasticsearch, name: str) -> Body | None:
    """An index template, None when there is none of that name."""
    try:
        body: Body = client.indices.get_index_template(name=name)["index_templates"][0]["index_template"]
    except NotFoundError:
        return None
    return body


def setting(client: Elasticsearch, name: str) -> JsonValue:
    """A persistent cluster setting, None when it is not set."""
    found: JsonValue = client.cluster.get_settings(flat_settings=True)["persistent"].get(name)
    return found


def put(client: Elasticsearch, path: str, body: Body) -> None:
    headers = {"accept": "application/json", "content-type": "application/json"}
    client.perform_request("PUT", f"/{path}", headers=headers, body=body)


def delete_component(client: Elasticsearch, name: str) -> None:
    with contextlib.suppress(NotFoundError):
        client.cluster.delete_component_template(name=name)


def steps(body: Body | None) -> list[JsonValue]:
    """A pipeline's processors."""
    found = (body or {}).get("processors", [])
    return list(found) if isinstance(found, list) else []


def is_ours(step: JsonValue) -> bool:
    """Whether a pipeline step is the one that `setup` put."""
    options = step.get("logmeta") if isinstance(step, dict) else None
    return isinstance(options, dict) and options.get("tag") == TAG


def users(client: Elasticsearch, name: str) -> list[str]:
    """Indices that name the pipeline as their default or final one."""
    wanted = "*.settings.index.*_pipeline"
    settings = client.indices.get_settings(index="*", expand_wildcards="all", filter_path=wanted).body
    return sorted(index for index, found in settings.items() if name in found["settings"]["index"].values())


def others_serve_logs(client: Elasticsearch) -> bool:
    """Whether an index template that is not ours takes `logs-*-*`."""
    templates = client.indices.get_index_template()["index_templates"]
    patterns = {
        pattern
        for template in templates
        if template["name"] != PLAIN_LOGS
        for pattern in template["index_template"]["index_patterns"]
    }
    return bool(patterns & {"logs-*-*", "logs-*", "logs*"})


def plugin_versions(client: Elasticsearch) -> dict[str, str | None]:
    """The plugin's version on each node that runs pipelines, by node name; None where it is missing."""
    wanted = "nodes.*.name,nodes.*.roles,nodes.*.plugins.name,nodes.*.plugins.version"
    nodes = client.nodes.info(metric="plugins", filter_path=wanted)["nodes"].values()
    return {
        node["name"]: next((p["version"] for p in node.get("plugins", []) if p["name"] == PLUGIN), None)
        for node in nodes
        if "ingest" in node.get("roles", ["ingest"])
    }
