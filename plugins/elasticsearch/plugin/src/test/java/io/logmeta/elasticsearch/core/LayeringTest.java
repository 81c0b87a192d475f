package io.logmeta.elasticsearch.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class LayeringTest {
    @Test
    void the_core_knows_no_server() throws IOException {
        Path core = Path.of("../../plugin/src/main/java/io/logmeta/elasticsearch/core");
        try (Stream<Path> files = Files.list(core)) {
            List<Path> sources = files.toList();
            assertFalse(sources.isEmpty());
            assertEquals(List.of(), sources.stream().filter(LayeringTest::namesTheServer).toList());
        }
    }

    private static boolean namesTheServer(Path source) {
        try {
            String text = Files.readString(source);
            return text.contains("org.elasticsearch") || text.contains("logmeta.elasticsearch.server") || text.contains("org.apache");
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
