package io.logmeta.elasticsearch.compat;

import org.elasticsearch.ingest.Processor;

/** How a pipeline asks for a processor: before 9.1 there are no projects. */
public final class Factories {
    private Factories() {}

    public static Processor.Factory of(Creator creator) {
        return (factories, tag, description, config) -> creator.create(tag, description, config);
    }
}
