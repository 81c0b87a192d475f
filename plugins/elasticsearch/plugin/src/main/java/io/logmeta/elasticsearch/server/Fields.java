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

    /** A leaf, directly below the target field or, with a parent, one level deeper. */
    private record Leaf(String parent, String name, Check check) {
        static Leaf at(String path, Check check) {
            int dot = path.indexOf('.');
            return new Leaf(dot < 0 ? null : path.substring(0, dot), path.substring(dot + 1), check);
        }

        String top() {
            return parent == null ? name : parent;
        }
    }

    private static final List<Leaf> LEAVES = leaves();
    private static final Set<String> NAMES = LEAVES.stream().map(Leaf::top).collect(Collectors.toSet());

    private Fields() {}

    /** The names directly below the target field that are ours, whatever stands below them. */
    static Set<String> names() {
        return NAMES;
    }

    /**
     * Takes the known leaves of one result, nested as they came; unknown keys and nulls are left out.
     *
     * @throws IllegalArgumentException a leaf of the wrong kind
     */
    static Map<String, Object> of(Map<String, Object> result) {
        Map<String, Object> fields = new LinkedHashMap<>();
        for (Leaf leaf : LEAVES) {
            Object value = at(result, leaf);
            if (value != null) {
                parent(fields, leaf).put(leaf.name, checked(leaf, value));
            }
        }
        return fields;
    }

    private static Object checked(Leaf leaf, Object value) {
        Object accepted = leaf.check.accept(value);
        if (accepted == null) {
            String path = leaf.parent == null ? leaf.name : leaf.parent + "." + leaf.name;
            throw new IllegalArgumentException("[" + path + "] came as " + value.getClass().getSimpleName() + " and cannot be indexed");
        }
        return accepted;
    }

    private static Object at(Map<String, Object> result, Leaf leaf) {
        if (leaf.parent == null) {
            return result.get(leaf.name);
        }
        return result.get(leaf.parent) instanceof Map<?, ?> parent ? parent.get(leaf.name) : null;
    }

    @SuppressWarnings("unchecked") // only maps are put under a parent's name
    private static Map<String, Object> parent(Map<String, Object> fields, Leaf leaf) {
        return leaf.parent == null ? fields : (Map<String, Object>) fields.computeIfAbsent(leaf.parent, name -> new LinkedHashMap<>());
    }

    private static List<Leaf> leaves() {
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
        return checks.entrySet().stream().map(entry -> Leaf.at(entry.getKey(), entry.getValue())).toList();
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
