package io.logmeta.elasticsearch.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.logmeta.elasticsearch.core.Explain;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.elasticsearch.ElasticsearchParseException;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class OptionsTest {
    @BeforeAll
    static void logging() {
        LogConfigurator.configureESLogging(); // exceptions of the server reach for its loggers
    }

    @Test
    void the_defaults_are_those_of_the_documentation() {
        Options options = Options.read("t", new HashMap<>());
        assertEquals(new Options(List.of("message"), "logmeta", null, "data_stream.dataset", List.of("host.name", "service.name"), "@timestamp",
            null, false, Duration.ofSeconds(3), Explain.ALARMS, false, true, true), options);
    }

    @Test
    void what_is_unknown_is_left_for_elasticsearch_to_refuse() {
        Map<String, Object> config = new HashMap<>(Map.of("field", "body", "fields", "typo"));
        assertEquals(List.of("body"), Options.read("t", config).fields());
        assertEquals(Map.of("fields", "typo"), config);
    }

    @Test
    void an_empty_stream_by_makes_the_source_one_sequence() {
        assertEquals(List.of(), Options.read("t", new HashMap<>(Map.of("stream_by", List.of()))).streamBy());
    }

    static Stream<Map<String, Object>> wrong() {
        return Stream.of(
            Map.of("source", "a", "source_field", "b"),
            Map.of("source", " "),
            Map.of("field", List.of()),
            Map.of("field", List.of("a", "")),
            Map.of("target_field", ""),
            Map.of("on_unavailable", "ignore"),
            Map.of("explain", "some"),
            Map.of("max_wait", "3"),
            Map.of("max_wait", "0s"),
            Map.of("max_wait", "-1"),
            Map.of("max_wait", "61s"),
            Map.of("ecs", "maybe"),
            Map.of("stream_by", List.of(1))
        );
    }

    @ParameterizedTest
    @MethodSource("wrong")
    void a_wrong_option_is_refused_when_the_pipeline_is_put(Map<String, Object> config) {
        String message = assertThrows(ElasticsearchParseException.class, () -> Options.read("t", new HashMap<>(config))).getMessage();
        assertTrue(config.keySet().stream().anyMatch(message::contains), message);
    }

    @ParameterizedTest
    @ValueSource(strings = {"ftp://a", "a:9750", "http://", "http://user:pass@a", "http://a?token=b", "not a url", "\"\""})
    void a_wrong_scorer_url_is_refused(String url) {
        Settings settings = Settings.builder().put("logmeta.scorer.urls", url).build();
        assertThrows(IllegalArgumentException.class, () -> LogmetaSettings.config(settings));
    }

    @Test
    void two_scorer_urls_are_taken_in_order() {
        Settings settings = Settings.builder().put("logmeta.scorer.urls", "http://a:1, https://b/path/").build();
        assertEquals("[http://a:1, https://b/path/]", LogmetaSettings.config(settings).urls().toString());
        assertFalse(LogmetaSettings.config(Settings.EMPTY).urls().isEmpty());
    }
}
