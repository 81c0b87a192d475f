"""Alerts leave the scorer for a webhook: deduplicated, rate limited, retried, and never waited for."""
