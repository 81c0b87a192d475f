"""What happened to one source in a span of days, as a page that needs nothing beside it."""
