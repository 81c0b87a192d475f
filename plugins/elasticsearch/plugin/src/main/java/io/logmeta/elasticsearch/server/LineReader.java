package io.logmeta.elasticsearch.server;

import io.logmeta.elasticsearch.core.Line;
import java.util.List;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.elasticsearch.ingest.IngestDocument;

/** Finds the log line in a document. */
final class LineReader {
    /** {@code <type>-<dataset>-<namespace>}: the name itself says the dataset, also before the document does. */
    private static final Pattern DATA_STREAM = Pattern.compile("(?:logs|metrics|traces)-([^-]+)-.+");

    private static final String BACKING_INDEX = ".ds-";

    private final Options options;

    LineReader(Options options) {
        this.options = options;
    }

    /**
     * Whether a person put a word on a document that is indexed already: what writes into a backing index by its own name is an
     * edit, and {@code _update} sends the whole document through the pipeline again. Its verdict is what the word is about.
     */
    boolean isLabelled(IngestDocument document) {
        String index = text(document, "_index");
        return index != null && index.startsWith(BACKING_INDEX) && value(document, options.targetField() + ".feedback") != null;
    }

    /** The first field that holds a text or a number, or null. */
    String message(IngestDocument document) {
        return options.fields().stream().map(field -> text(document, field)).filter(Objects::nonNull).findFirst().orElse(null);
    }

    /** The source's name, or null when neither options, document nor data stream tell it. */
    String source(IngestDocument document) {
        if (options.source() != null) {
            return options.source();
        }
        String named = text(document, options.sourceField());
        return named != null && !named.isBlank() ? named : dataset(text(document, "_index"));
    }

    Line line(IngestDocument document, String source, String message) {
        return new Line(source, stream(document), timestamp(document), message, options.detectorVersion(), options.explain());
    }

    private static String dataset(String index) {
        Matcher name = DATA_STREAM.matcher(index == null ? "" : index);
        return name.matches() ? name.group(1) : null;
    }

    private String stream(IngestDocument document) {
        List<String> parts = options.streamBy().stream().map(field -> text(document, field)).filter(Objects::nonNull).toList();
        return parts.isEmpty() ? null : parts.stream().collect(Collectors.joining("/"));
    }

    private Object timestamp(IngestDocument document) {
        Object value = value(document, options.timestampField());
        return value == null || value instanceof Number ? value : value.toString();
    }

    private static String text(IngestDocument document, String field) {
        Object value = value(document, field);
        return value instanceof String || value instanceof Number ? value.toString() : null;
    }

    /** By path, then by the literal name: ECS loggers write {@code "service.name"} as one dotted key. */
    private static Object value(IngestDocument document, String field) {
        Object value = document.getFieldValue(field, Object.class, true);
        return value == null && field.indexOf('.') > 0 ? document.getSource().get(field) : value;
    }
}
