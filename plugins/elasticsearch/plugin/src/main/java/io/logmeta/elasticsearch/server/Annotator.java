package io.logmeta.elasticsearch.server;

import io.logmeta.elasticsearch.core.Explain;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.ingest.IngestDocument;

/** Writes an answer into a document: ours below the target field, and the ECS fields beside it. */
final class Annotator {
    private static final String ALARM_TAG = "logmeta-alarm";
    private static final Set<String> BRIEF =
        Set.of("status", "score", "p_value", "provisional", "source", "stream", "template", "model", "scored_at");

    private final Options options;

    Annotator(Options options) {
        this.options = options;
    }

    /** Takes the fields over: they become part of the document. */
    void answered(IngestDocument document, Map<String, Object> fields) {
        if (!explains(fields)) {
            fields.remove("explanation");
        }
        if (!fields.containsKey("scored_at") && !"skipped".equals(fields.get("status"))) {
            fields.put("scored_at", Instant.now().truncatedTo(ChronoUnit.MILLIS).toString());
        }
        boolean brief = options.brief() && isOrdinary(fields);
        if (brief) {
            shorten(fields);
        }
        write(document, fields);
        if (options.ecs() && !brief) {
            writeEcs(document, fields);
        }
    }

    private static boolean isOrdinary(Map<String, Object> fields) {
        return !isAlarm(fields) && !fields.containsKey("alarm_id") && "none".equals(fields.get("severity"));
    }

    /** Ten fields less in most documents: half of what they cost to index, and of their disk. */
    private static void shorten(Map<String, Object> fields) {
        fields.keySet().retainAll(BRIEF);
        keepOnly(fields, "template", "id");
        keepOnly(fields, "model", "version");
    }

    private static void keepOnly(Map<String, Object> fields, String parent, String leaf) {
        if (fields.get(parent) instanceof Map<?, ?> group) {
            group.keySet().retainAll(Set.of(leaf));
        }
    }

    void skipped(IngestDocument document, String reason) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("status", "skipped");
        fields.put("reason", reason);
        write(document, fields);
    }

    /** In one piece where nothing is there yet, which is the usual case and much cheaper than leaf by leaf. */
    private void write(IngestDocument document, Map<String, Object> fields) {
        clear(document);
        String target = options.targetField();
        if (document.hasField(target)) {
            fields.forEach((name, value) -> document.setFieldValue(target + "." + name, value));
        } else {
            document.setFieldValue(target, fields);
        }
    }

    private boolean explains(Map<String, Object> fields) {
        return options.explain() == Explain.ALL || options.explain() == Explain.ALARMS && isAlarm(fields);
    }

    /**
     * A document indexed before, or a client, may bring our fields along, in any type and also with dots in their names: old and
     * new must not mix, and what our mapping does not take would cost the document. Other keys are not ours.
     */
    private void clear(IngestDocument document) {
        String target = options.targetField();
        Object old = document.getFieldValue(target, Object.class, true);
        if (old instanceof Map<?, ?> map) {
            map.keySet().removeIf(key -> isOurs(key.toString()));
        } else if (document.hasField(target) && (old == null || target.equals(Options.OUR_FIELD))) {
            document.removeField(target);
        }
        String prefix = target + ".";
        document.getSource().keySet().removeIf(key -> key.startsWith(prefix) && isOurs(key.substring(prefix.length())));
    }

    private static boolean isOurs(String key) {
        int dot = key.indexOf('.');
        return Fields.names().contains(dot < 0 ? key : key.substring(0, dot));
    }

    private static void writeEcs(IngestDocument document, Map<String, Object> fields) {
        if (fields.get("score") instanceof Number score) {
            setIfAbsent(document, "risk_score", 100 * score.doubleValue());
            setIfAbsent(document, "risk_score_norm", 100 * score.doubleValue());
        }
        Object tags = document.getFieldValue("tags", Object.class, true);
        if (isAlarm(fields) && (tags == null || tags instanceof String || tags instanceof List)) {
            document.appendFieldValue("tags", ALARM_TAG, false);
        }
    }

    private static void setIfAbsent(IngestDocument document, String name, Object value) {
        String path = "event." + name;
        Object parent = document.getFieldValue("event", Object.class, true);
        boolean writable = parent == null || parent instanceof Map;
        if (writable && !document.hasField(path) && !document.getSource().containsKey(path)) {
            document.setFieldValue(path, value);
        }
    }

    private static boolean isAlarm(Map<String, Object> fields) {
        return Boolean.TRUE.equals(fields.get("alarm"));
    }
}
