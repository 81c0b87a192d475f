package io.logmeta.elasticsearch.core;

import java.net.URI;
import java.time.Duration;
import java.util.List;

/** The node's settings at one moment. */
public record Config(
    List<URI> urls,
    int batchSize,
    Duration linger,
    int lanes,
    int queueDocuments,
    long queueBytes,
    int breakerFailures,
    Duration breakerOpen,
    Duration requestTimeout
) {}
