package io.logmeta.elasticsearch.server;

import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TlsTest {
    @TempDir
    private Path config;

    @Test
    void without_a_file_the_jdk_says_whom_to_trust() {
        assertNull(Tls.trusting("", config));
    }

    @ParameterizedTest
    @ValueSource(strings = {"absent.pem", "../outside.pem", "/etc/hostname", "empty.pem", "garbage.pem"})
    void a_file_that_cannot_be_trusted_keeps_the_node_from_starting(String file) throws IOException {
        Files.writeString(config.resolve("empty.pem"), "");
        Files.writeString(config.resolve("garbage.pem"), "no certificate");
        String message = assertThrows(IllegalArgumentException.class, () -> Tls.trusting(file, config)).getMessage();
        assertTrue(message.contains("logmeta.scorer.ca"), message);
    }
}
