package io.logmeta.elasticsearch.server;

import static org.elasticsearch.ingest.ConfigurationUtils.newConfigurationException;
import static org.elasticsearch.ingest.ConfigurationUtils.readBooleanProperty;
import static org.elasticsearch.ingest.ConfigurationUtils.readOptionalListOrString;
import static org.elasticsearch.ingest.ConfigurationUtils.readOptionalStringProperty;
import static org.elasticsearch.ingest.ConfigurationUtils.readStringProperty;

import io.logmeta.elasticsearch.core.Explain;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.elasticsearch.core.TimeValue;

/**
 * The processor's options in a pipeline.
 *
 * @param fields where the line may stand, tried in order
 * @param source the source's name, or null to read it from {@code sourceField}
 * @param brief whether ordinary lines carry little more than their score
 */
record Options(
    List<String> fields,
    String targetField,
    String source,
    String sourceField,
    List<String> streamBy,
    String timestampField,
    String detectorVersion,
    boolean failWhenUnavailable,
    Duration maxWait,
    Explain explain,
    boolean brief,
    boolean ecs,
    boolean ignoreMissing
) {
    /** Where everything is ours, whatever a document brings along. */
    static final String OUR_FIELD = "logmeta";

    private static final TimeValue LONGEST_WAIT = TimeValue.timeValueSeconds(60);
    private static final List<String> DEFAULT_STREAM = List.of("host.name", "service.name");

    /** Takes every option out of {@code config}: Elasticsearch refuses the pipeline for what is left. */
    static Options read(String tag, Map<String, Object> config) {
        String source = readOptionalStringProperty(LogmetaProcessor.TYPE, tag, config, "source");
        String sourceField = readOptionalStringProperty(LogmetaProcessor.TYPE, tag, config, "source_field");
        if (source != null && sourceField != null) {
            throw refused(tag, "source", "came together with [source_field]; keep one of them");
        }
        return new Options(
            filled(tag, "field", list(tag, config, "field", List.of("message"))),
            filled(tag, "target_field", readStringProperty(LogmetaProcessor.TYPE, tag, config, "target_field", OUR_FIELD)),
            source == null ? null : filled(tag, "source", source),
            sourceField == null ? "data_stream.dataset" : filled(tag, "source_field", sourceField),
            list(tag, config, "stream_by", DEFAULT_STREAM),
            readStringProperty(LogmetaProcessor.TYPE, tag, config, "timestamp_field", "@timestamp"),
            readOptionalStringProperty(LogmetaProcessor.TYPE, tag, config, "detector_version"),
            choice(tag, config, "on_unavailable", List.of("skip", "fail")).equals("fail"),
            wait(tag, config),
            Explain.valueOf(choice(tag, config, "explain", List.of("alarms", "all", "none")).toUpperCase(Locale.ROOT)),
            choice(tag, config, "detail", List.of("all", "alarms")).equals("alarms"),
            readBooleanProperty(LogmetaProcessor.TYPE, tag, config, "ecs", true),
            readBooleanProperty(LogmetaProcessor.TYPE, tag, config, "ignore_missing", true)
        );
    }

    private static List<String> list(String tag, Map<String, Object> config, String name, List<String> absent) {
        if (!config.containsKey(name)) {
            return absent;
        }
        List<?> items = readOptionalListOrString(LogmetaProcessor.TYPE, tag, config, name);
        for (Object item : items) {
            if (!(item instanceof String)) {
                throw refused(tag, name, "holds [" + item + "], needed a string or a list of strings");
            }
        }
        return items.stream().map(String.class::cast).toList();
    }

    /** The first choice is the default. */
    private static String choice(String tag, Map<String, Object> config, String name, List<String> choices) {
        String chosen = readStringProperty(LogmetaProcessor.TYPE, tag, config, name, choices.get(0));
        if (!choices.contains(chosen)) {
            throw refused(tag, name, "came as [" + chosen + "], needed one of " + choices);
        }
        return chosen;
    }

    private static Duration wait(String tag, Map<String, Object> config) {
        String text = readStringProperty(LogmetaProcessor.TYPE, tag, config, "max_wait", "3s");
        TimeValue wait;
        try {
            wait = TimeValue.parseTimeValue(text, "max_wait");
        } catch (IllegalArgumentException e) {
            throw refused(tag, "max_wait", "came as [" + text + "], needed a time such as [3s]");
        }
        if (wait.millis() < 1 || wait.compareTo(LONGEST_WAIT) > 0) {
            throw refused(tag, "max_wait", "came as [" + text + "], needed 1ms to " + LONGEST_WAIT + ": the bulk waits as long");
        }
        return Duration.ofMillis(wait.millis());
    }

    private static String filled(String tag, String name, String value) {
        if (value.isBlank()) {
            throw refused(tag, name, "is empty; leave it out for the default");
        }
        return value;
    }

    private static List<String> filled(String tag, String name, List<String> values) {
        if (values.isEmpty() || values.stream().anyMatch(String::isBlank)) {
            throw refused(tag, name, "is empty or holds an empty name; leave it out for the default");
        }
        return values;
    }

    private static RuntimeException refused(String tag, String name, String why) {
        return newConfigurationException(LogmetaProcessor.TYPE, tag, name, why);
    }
}
