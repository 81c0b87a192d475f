"""A pass-through proxy in front of Elasticsearch that annotates what is indexed by `_bulk`."""
