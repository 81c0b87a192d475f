package io.logmeta.elasticsearch.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TextTest {
    @ParameterizedTest
    @ValueSource(strings = {"", "plain", "grüße", "日志", "\uD83D\uDE00 and more"})
    void the_length_is_the_one_of_the_bytes(String text) {
        assertEquals(text.getBytes(StandardCharsets.UTF_8).length, Text.utf8Length(text));
        assertSame(text, Text.wellFormed(text));
    }

    @Test
    void lone_surrogates_are_replaced_wherever_they_stand() {
        assertEquals("\uFFFDa\uFFFD\uD83D\uDE00\uFFFD", Text.wellFormed("\uDE00a\uD83D\uD83D\uDE00\uD83D"));
    }

    @Test
    void the_hash_never_changes_since_every_node_must_route_alike() {
        assertEquals(-2152535657050944081L, Text.mix(0)); // SplitMix64 of 0: 0xE220A8397B1DCDAF
        assertEquals(Text.mix(97), Text.hash("a"));
    }
}
