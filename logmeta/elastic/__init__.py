"""The Elasticsearch side: fields, set-up, annotation, and a local node for tests and the demo."""
