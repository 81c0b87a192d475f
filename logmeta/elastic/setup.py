"""Put what annotation needs into a cluster, and take it out again: first as a plan, then step by step.

Every step may be repeated; one that finds all as it should be changes nothing. What others put into `logs@custom`
stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from elasticsearch import ApiError, Elasticsearch, NotFoundError

from logmeta.elastic.client import Address, backend_errors
from logmeta.elastic.cluster import (
    Body,
    component,
    delete_component,
    index_template,
    is_ours,
    others_serve_logs,
    pipeline,
    plugin_versions,
    put,
    setting,
    steps,
    users,
)
from logmeta.elastic.templates import (
    HOOK,
    MAPPINGS,
    META,
    OWN_STREAMS,
    PIPELINE,
    PLAIN_LOGS,
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
INSTALL = (
    "run bin/elasticsearch-plugin install on each with the zip that `logmeta elastic plugin` writes, then restart it"
)
DEFAULT_FIELDS = ("message", "event.original", "body.text")
DEFAULT_SOURCE_FIELD = "data_stream.dataset"
BY_HAND = (
    "on each node: bin/elasticsearch-keystore remove logmeta.auth.token (when it was set)",
    "on each node: remove logmeta.* from elasticsearch.yml, bin/elasticsearch-plugin remove logmeta, restart",
)
Change = Literal["create", "update", "keep", "remove"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the pipeline reads from a document, and where the nodes find the scorers. `plugin` is False where the
    nodes have none: then only what annotating from outside needs is put."""

    source_field: str = DEFAULT_SOURCE_FIELD
    fields: Sequence[str] = DEFAULT_FIELDS
    scorer_urls: Sequence[str] = ()
    plugin: bool = True
    detail: str = "all"


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the cluster: what, how, and the call that makes it, which may return a note of what is left."""

    what: str
    change: Change
    apply: Callable[[], str | None]


def plan_setup(client: Elasticsearch, address: Address, options: Options | None = None) -> list[Step]:
    """What `setup` would do, in order. Raises BackendError when a node that runs pipelines lacks the plugin."""
    options = options or Options()
    with backend_errors(address):
        if not options.plugin:
            return [_mappings(client), _hook_mappings(client), _own_streams(client)]
        _need_plugin(client, address)
        step = processor(options.source_field, options.fields, options.detail)
        own: Body = {"description": WORDS, "processors": [step], "_meta": META}
        return [
            *([_scorers(client, options)] if options.scorer_urls else []),
            _mappings(client),
            _hook_mappings(client),
            _put(client, f"pipeline {PIPELINE}", f"_ingest/pipeline/{PIPELINE}", pipeline(client, PIPELINE), own),
            _hook_pipeline(client, step),
            _own_streams(client),
            *([] if others_serve_logs(client) else [_plain_logs(client)]),
        ]


def plan_teardown(client: Elasticsearch, address: Address) -> list[Step]:
    """What `teardown` would do, in the order in which nothing breaks."""
    with backend_errors(address):
        templates = [name for name in (PLAIN_LOGS, OWN_STREAMS) if index_template(client, name) is not None]
        found: dict[str, Callable[[], str | None]] = {
            f"pipeline {name}, our step": partial(_drop_steps, client, name)
            for name in (HOOK, PIPELINE)
            if any(map(is_ours, steps(pipeline(client, name))))
        }
        if setting(client, SETTING_URLS) is not None:
            found["settings logmeta.*"] = partial(_reset_settings, client)
        found |= {f"index template {name}": partial(_delete_template, client, name) for name in templates}
        if component(client, MAPPINGS) is not None:
            found[f"component template {MAPPINGS}, and our fields in {HOOK}"] = partial(_drop_mappings, client)
    return [Step(what, "remove", apply) for what, apply in found.items()]


def apply(plan: Sequence[Step], address: Address) -> list[str]:
    """Make the changes; returns what is left to do. Raises BackendError; what was done until then stays."""
    with backend_errors(address):
        notes = [step.apply() for step in plan if step.change != "keep"]
    return [note for note in notes if note]


def setup(client: Elasticsearch, address: Address, options: Options | None = None) -> list[Step]:
    """Plan and put templates, pipeline and hook; returns the plan. Raises BackendError."""
    plan = plan_setup(client, address, options)
    apply(plan, address)
    return plan


def teardown(client: Elasticsearch, address: Address) -> list[str]:
    """Plan and take out what `setup` put; returns what is left to do by hand. Raises BackendError."""
    return [*apply(plan_teardown(client, address), address), *BY_HAND]


def _need_plugin(client: Elasticsearch, address: Address) -> None:
    without = [name for name, version in plugin_versions(client).items() if version is None]
    if without:
        raise BackendError(
            f"{address.url}: no logmeta plugin on node(s) {', '.join(without)}; {INSTALL}, "
            f"or annotate from outside: setup --no-plugin"
        )


def _put(client: Elasticsearch, what: str, path: str, there: Body | None, wanted: Body) -> Step:
    """A step that brings one body to what is wanted."""
    change: Change = "create" if there is None else "keep" if _holds(there, wanted) else "update"
    return Step(what, change, partial(put, client, path, wanted))


def _holds(there: JsonValue, wanted: JsonValue) -> bool:
    """Whether what is there says all that is wanted; Elasticsearch adds defaults, nests dotted keys, and writes
    scalars as text."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(_holds(_at(there, key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(there, list) and len(there) == len(wanted) and all(map(_holds, there, wanted))
    return there == wanted or str(there).lower() == str(wanted).lower()


def _at(body: Body, key: str) -> JsonValue:
    head, dot, rest = key.partition(".")
    child = body.get(head)
    return body[key] if key in body else _at(child, rest) if dot and isinstance(child, dict) else None


def _scorers(client: Elasticsearch, options: Options) -> Step:
    urls = list(options.scorer_urls)
    there = setting(client, SETTING_URLS)
    change: Change = "create" if there is None else "keep" if there == urls else "update"
    return Step(f"setting {SETTING_URLS} = {', '.join(urls)}", change, partial(_put_setting, client, urls))


def _put_setting(client: Elasticsearch, urls: list[str]) -> None:
    client.cluster.put_settings(persistent={SETTING_URLS: urls})


def _mappings(client: Elasticsearch) -> Step:
    there = component(client, MAPPINGS)
    return _put(client, f"component template {MAPPINGS}", f"_component_template/{MAPPINGS}", there, mappings_template())


def _own_streams(client: Elasticsearch) -> Step:
    there = index_template(client, OWN_STREAMS)
    return _put(
        client, f"index template {OWN_STREAMS}", f"_index_template/{OWN_STREAMS}", there, own_streams_template()
    )


def _plain_logs(client: Elasticsearch) -> Step:
    there = index_template(client, PLAIN_LOGS)
    return _put(client, f"index template {PLAIN_LOGS}", f"_index_template/{PLAIN_LOGS}", there, plain_logs_template())


def _hook_mappings(client: Elasticsearch) -> Step:
    """Our fields into the component template `logs@custom`, beside what others have there."""
    there, wanted = component(client, HOOK), component(client, HOOK) or {"template": {}}
    _properties(wanted)["logmeta"] = logmeta_mapping()
    return _put(client, f"component template {HOOK}, our fields", f"_component_template/{HOOK}", there, wanted)


def _hook_pipeline(client: Elasticsearch, step: Body) -> Step:
    """Our step into the pipeline `logs@custom`: in its old place, or last."""
    there = pipeline(client, HOOK)
    body = dict(there or {"description": "Custom steps for logs; logmeta keeps one of them."})
    found = steps(body)
    places = [place for place, other in enumerate(found) if is_ours(other)]
    kept = [other for place, other in enumerate(found) if place not in places[1:]]
    if places:
        kept[places[0]] = step
    else:
        kept.append(step)
    return _put(client, f"pipeline {HOOK}, our step", f"_ingest/pipeline/{HOOK}", there, {**body, "processors": kept})


def _reset_settings(client: Elasticsearch) -> None:
    client.cluster.put_settings(persistent={"logmeta.*": None})


def _drop_steps(client: Elasticsearch, name: str) -> str | None:
    """Our steps out of a pipeline, and the pipeline too when nothing is left and no index names it.

    A pipeline that an index names stays, empty: without it every document of that index would fail.
    """
    body = pipeline(client, name) or {}
    kept = [step for step in steps(body) if not is_ours(step)]
    named_by = users(client, name)
    if kept or named_by:
        put(client, f"_ingest/pipeline/{name}", {**body, "processors": kept})
    else:
        client.ingest.delete_pipeline(id=name)
    return f"pipeline {name} stays, without our step: {', '.join(named_by[:5])} name it" if named_by else None


def _drop_mappings(client: Elasticsearch) -> str | None:
    """Our fields out of `logs@custom`, and our component template, once no index template of ours needs it."""
    if any(index_template(client, name) is not None for name in (PLAIN_LOGS, OWN_STREAMS)):
        return f"component template {MAPPINGS} stays for the index templates above"
    body = component(client, HOOK)
    if body is not None:
        _properties(body).pop("logmeta", None)
        if any(map(_is_filled, body.values())):
            put(client, f"_component_template/{HOOK}", body)
        else:
            delete_component(client, HOOK)
    delete_component(client, MAPPINGS)
    return None


def _delete_template(client: Elasticsearch, name: str) -> str | None:
    try:
        client.indices.delete_index_template(name=name)
    except NotFoundError:
        return None
    except ApiError as error:
        if error.meta.status == 400 and "in use by" in str(error):
            return f"index template {name} serves data streams: delete these, then run this again"
        raise
    return None


def _properties(body: Body) -> Body:
    """The mapping's properties in a component template, made where they are missing."""
    for key in ("template", "mappings", "properties"):
        child = body.setdefault(key, {})
        if not isinstance(child, dict):
            raise BackendError(f"{key!r} in the component template {HOOK} is not an object; repair the template first")
        body = child
    return body


def _is_filled(value: JsonValue) -> bool:
    return any(map(_is_filled, value.values())) if isinstance(value, dict) else value not in (None, [], "")
