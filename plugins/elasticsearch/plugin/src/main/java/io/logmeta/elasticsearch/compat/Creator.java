package io.logmeta.elasticsearch.compat;

import java.util.Map;
import org.elasticsearch.ingest.Processor;

/** Makes a processor from what a pipeline says of it. */
public interface Creator {
    Processor create(String tag, String description, Map<String, Object> config) throws Exception;
}
