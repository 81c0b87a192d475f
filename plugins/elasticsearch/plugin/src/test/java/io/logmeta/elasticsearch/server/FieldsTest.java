package io.logmeta.elasticsearch.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class FieldsTest {
    private static Map<?, ?> below(Map<String, Object> fields, String parent) {
        return (Map<?, ?>) fields.get(parent);
    }

    @Test
    void unknown_keys_and_nulls_are_left_out() {
        Map<String, Object> result = Map.of("status", "scored", "color", "red", "template", Collections.singletonMap("id", null), "model", "none");
        assertEquals(Map.of("status", "scored"), Fields.of(result));
    }

    @Test
    void a_text_no_keyword_can_hold_is_cut_and_shows_it() {
        String text = (String) below(Fields.of(Map.of("template", Map.of("text", "x".repeat(40_000)))), "template").get("text");
        assertEquals("x".repeat(8000) + "…", text);
    }

    @Test
    void a_cut_through_a_pair_of_surrogates_leaves_no_half_behind() {
        String text = (String) Fields.of(Map.of("reason", "x".repeat(7999) + "\uD83D\uDE00".repeat(2))).get("reason");
        assertEquals("x".repeat(7999) + "\uFFFD…", text);
    }

    @Test
    void a_kind_that_a_flattened_field_would_refuse_is_made_one_it_takes() {
        Map<String, Object> kinds = Map.of("contributions", Map.of("a\0b", 1, "k".repeat(40_000), 2));
        assertEquals(Map.of("a\uFFFDb", 1, "k".repeat(200) + "…", 2), below(Fields.of(Map.of("explanation", kinds)), "explanation").get("contributions"));
    }

    static Stream<Map<String, Object>> wrong() {
        return Stream.of(
            Map.of("score", "high"),
            Map.of("raw_score", 1e300), // finite, but no float
            Map.of("raw_score", Double.NaN),
            Map.of("alarm", "yes"),
            Map.of("score", 1.5), // event.risk_score would be 150
            Map.of("p_value", -0.1),
            Map.of("model", Map.of("shots", 3_000_000_000L)),
            Map.of("scored_at", "yesterday"),
            Map.of("scored_at", 5),
            Map.of("scored_at", "+12026-01-01T00:00:00Z"),
            Map.of("severity", List.of("minor")),
            Map.of("typical", List.of(Map.of())),
            Map.of("explanation", Map.of("contributions", Map.of("novelty", Map.of("deep", 1)))),
            Map.of("explanation", Map.of("contributions", 3))
        );
    }

    @ParameterizedTest
    @MethodSource("wrong")
    void what_an_index_would_refuse_is_refused_here(Map<String, Object> result) {
        assertThrows(IllegalArgumentException.class, () -> Fields.of(result));
    }
}
