package io.logmeta.elasticsearch.server;

import io.logmeta.elasticsearch.core.Text;
import java.time.DateTimeException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The leaves a scorer may send, and what each may hold.
 *
 * <p>Checked here because a wrong type, a number no {@code float} can hold, a date that is none or an endless text would make
 * Elasticsearch refuse the document: indexing must not fail because of us.
 */
final class Fields {
    private static final int MAX_TEXT = 8000; // stays below the 32,766 bytes a keyword may take
    private static final int MAX_KIND = 200; // of a contribution; a flattened field takes 32,766 bytes for name and value
    private static final String CUT = "…";
    private static final int LAST_YEAR = 9999; // of the date format of the mapping

    private interface Check {
        /** The value to write, or null when it cannot be one. */
        Object accept(Object value);
    }

    private static final Map<String, Check> CHECKS = checks();
    private static final Set<String> NAMES = CHECKS.keySet().stream().map(leaf -> leaf.split("\\.")[0]).collect(Collectors.toSet());

    private Fields() {}

    /** The names directly below the target field that are ours, whatever stands below them. */
    static Set<String> names() {
        return NAMES;
    }

    /**
     * Takes the known leaves of one result; unknown keys and nulls are left out.
     *
     * @throws IllegalArgumentException a leaf of the wrong kind
     */
    static Map<String, Object> of(Map<String, Object> result) {
        Map<String, Object> fields = new LinkedHashMap<>();
        CHECKS.forEach((leaf, check) -> {
            Object value = at(result, leaf);
            if (value != null) {
                fields.put(leaf, checked(leaf, value, check));
            }
        });
        return fields;
    }

    private static Object checked(String leaf, Object value, Check check) {
        Object accepted = check.accept(value);
        if (accepted == null) {
            throw new IllegalArgumentException("[" + leaf + "] came as " + value.getClass().getSimpleName() + " and cannot be indexed");
        }
        return accepted;
    }

    private static Object at(Map<String, Object> result, String leaf) {
        int dot = leaf.indexOf('.');
        if (dot < 0) {
            return result.get(leaf);
        }
        return result.get(leaf.substring(0, dot)) instanceof Map<?, ?> parent ? parent.get(leaf.substring(dot + 1)) : null;
    }

    private static Map<String, Check> checks() {
        Map<String, Check> checks = new LinkedHashMap<>();
        for (String leaf : List.of("status", "reason", "alarm_id", "severity", "source", "stream", "template.id", "template.text",
            "explanation.kind", "explanation.text", "model.base", "model.detector", "model.version")) {
            checks.put(leaf, Fields::text);
        }
        for (String leaf : List.of("score", "p_value")) {
            checks.put(leaf, Fields::share);
        }
        for (String leaf : List.of("raw_score", "took_ms")) {
            checks.put(leaf, Fields::number);
        }
        checks.put("model.shots", Fields::count);
        checks.put("scored_at", Fields::date);
        for (String leaf : List.of("alarm", "provisional", "template.new")) {
            checks.put(leaf, value -> value instanceof Boolean ? value : null);
        }
        checks.put("typical", Fields::texts);
        checks.put("explanation.contributions", Fields::numbers);
        return checks;
    }

    private static Object text(Object value) {
        if (!(value instanceof String || value instanceof Number)) {
            return null;
        }
        return cut(value.toString(), MAX_TEXT);
    }

    private static String cut(String text, int most) {
        return Text.wellFormed(text.length() <= most ? text : text.substring(0, most) + CUT);
    }

    private static Object date(Object value) {
        try {
            String text = value.toString();
            return OffsetDateTime.parse(text).getYear() <= LAST_YEAR ? text : null;
        } catch (DateTimeException e) {
            return null;
        }
    }

    private static Object share(Object value) {
        return value instanceof Number number && number.doubleValue() >= 0 && number.doubleValue() <= 1 ? number : null;
    }

    private static Object count(Object value) {
        return value instanceof Integer count && count >= 0 ? count : null;
    }

    private static Object number(Object value) {
        return value instanceof Number number && Float.isFinite(number.floatValue()) ? number : null;
    }

    private static Object texts(Object value) {
        if (!(value instanceof List<?> list)) {
            return text(value);
        }
        List<Object> texts = new ArrayList<>();
        for (Object item : list) {
            Object text = text(item);
            if (text == null) {
                return null;
            }
            texts.add(text);
        }
        return texts;
    }

    private static Object numbers(Object value) {
        if (!(value instanceof Map<?, ?> map)) {
            return null;
        }
        Map<String, Object> numbers = new LinkedHashMap<>();
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            if (number(entry.getValue()) == null) {
                return null;
            }
            numbers.put(kind(entry.getKey().toString()), entry.getValue());
        }
        return numbers;
    }

    /** A contribution's name as a flattened field takes it: no NUL, not without end. */
    private static String kind(String name) {
        return cut(name.replace('\0', '\uFFFD'), MAX_KIND);
    }
}
