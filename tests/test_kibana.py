"""Kibana's saved objects, as far as they can be checked without Kibana: references, nested JSON, mapped fields."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

from logmeta.elastic.templates import mappings_template, own_streams_template, plain_logs_template

FOLDER = Path(__file__).resolve().parents[1] / "plugins" / "kibana"
OBJECTS = [json.loads(line) for line in (FOLDER / "logmeta.ndjson").read_text(encoding="utf-8").splitlines()]
IDENTITIES = [f"{one['type']} {one['id']}" for one in OBJECTS]


def leaves(mapping, path=""):
    """Every field of a mapping by its full name."""
    for name, field in mapping["properties"].items():
        yield from leaves(field, f"{path}{name}.") if "properties" in field else [f"{path}{name}"]


def mapped():
    """The fields that set-up maps."""
    templates = mappings_template(), plain_logs_template(), own_streams_template()
    return {field for template in templates for field in leaves(template["template"]["mappings"])}


def nested(value):
    """Every JSON that stands in a string, parsed."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key.endswith("JSON") or key == "visState":
            yield json.loads(inner)
        yield from nested(inner)


def fields(one):
    """Every field an object names."""
    attributes = one["attributes"]
    yield from attributes.get("columns", ())
    yield from (field for field, _ in attributes.get("sort", ()))
    yield from filter(None, [attributes.get("timeFieldName")])
    for body in nested(attributes):
        if isinstance(body, dict):
            yield from re.findall(r"([\w.@]+):", body.get("query", {}).get("query", ""))
            yield from (agg["params"]["field"] for agg in body.get("aggs", ()) if "field" in agg["params"])


def test_the_file_is_what_its_module_writes():
    written = runpy.run_path(str(FOLDER / "objects.py"))["render"]()
    assert (FOLDER / "logmeta.ndjson").read_text(encoding="utf-8") == written


@pytest.mark.parametrize("one", OBJECTS, ids=IDENTITIES)
def test_every_object_names_only_fields_that_exist(one):
    assert set(fields(one)) <= mapped()


@pytest.mark.parametrize("one", OBJECTS, ids=IDENTITIES)
def test_every_reference_leads_to_an_object_of_the_file_and_is_used(one):
    present = {(other["type"], other["id"]) for other in OBJECTS}
    assert {(reference["type"], reference["id"]) for reference in one["references"]} <= present
    text = json.dumps(one["attributes"])
    assert all(reference["name"].rpartition(":")[2] in text for reference in one["references"])


def test_every_panel_has_its_reference_and_none_covers_another():
    [dashboard] = [one for one in OBJECTS if one["type"] == "dashboard"]
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    names = {f"{panel['panelIndex']}:{panel['panelRefName']}" for panel in panels}
    assert names == {reference["name"] for reference in dashboard["references"]}
    cells = [
        (x, y)
        for grid in (panel["gridData"] for panel in panels)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 48


def test_identities_are_unique():
    assert len(set(IDENTITIES)) == len(IDENTITIES)
