"""Template text to vectors, events to contextual embeddings."""
