"""The HTTP scorer: documents in, verdicts out."""
