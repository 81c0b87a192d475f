package io.logmeta.elasticsearch.compat;

import org.elasticsearch.ingest.Processor;

/** How a pipeline asks for a processor: from 9.1 on it names its project, which is none of ours. */
public final class Factories {
    private Factories() {}

    public static Processor.Factory of(Creator creator) {
        return (factories, tag, description, config, project) -> creator.create(tag, description, config);
    }
}
