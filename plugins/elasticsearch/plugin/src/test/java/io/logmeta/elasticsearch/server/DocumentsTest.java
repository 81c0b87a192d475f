package io.logmeta.elasticsearch.server;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.logmeta.elasticsearch.core.Line;
import io.logmeta.elasticsearch.core.Outcome;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.elasticsearch.common.bytes.BytesReference;
import org.elasticsearch.index.VersionType;
import org.elasticsearch.ingest.IngestDocument;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.XContentParserConfiguration;
import org.elasticsearch.xcontent.XContentType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The cases that {@code logmeta elastic annotate} and {@code proxy} are held to as well (tests/unit/test_documents.py). */
@SuppressWarnings("unchecked") // JSON objects have string keys
class DocumentsTest {
    private final JsonCodec codec = new JsonCodec();

    static Stream<Map<String, Object>> cases() throws IOException {
        try (InputStream file = DocumentsTest.class.getResourceAsStream("/documents.json")) {
            return ((List<Map<String, Object>>) (List<?>) parser(file.readAllBytes()).list()).stream();
        }
    }

    @ParameterizedTest
    @MethodSource("cases")
    void a_document_is_read_and_written_alike_on_both_sides(Map<String, Object> given) throws Exception {
        Map<String, Object> config = new HashMap<>((Map<String, Object>) given.getOrDefault("options", Map.of()));
        Options options = Options.read("tag", config);
        String index = (String) given.getOrDefault("index", "logs-payments-default");
        IngestDocument document = new IngestDocument(index, "1", 1, null, VersionType.INTERNAL, (Map<String, Object>) given.get("document"));
        apply(document, options, given);
        Map<String, Object> target = document.getFieldValue(options.targetField(), Object.class, true) instanceof Map<?, ?> map ? (Map<String, Object>) map : Map.of();
        if (!Map.of().equals(target)) {
            target.remove("scored_at"); // the clock's
        }
        assertEquals(given.get("expected"), document.getSource(), (String) given.get("name"));
    }

    /** As the processor does, with the answer of the case instead of a scorer's. */
    private void apply(IngestDocument document, Options options, Map<String, Object> given) throws Exception {
        LineReader reader = new LineReader(options);
        Annotator annotator = new Annotator(options);
        String message = reader.message(document);
        String source = reader.source(document);
        if (message == null && options.ignoreMissing() || reader.isLabelled(document)) {
            return;
        }
        if (message == null || source == null) {
            annotator.skipped(document, "missing_field");
            return;
        }
        Line line = reader.line(document, source, message);
        if (given.containsKey("asked")) {
            Map<String, Object> request = parser(codec.encode(List.of(line))).map();
            assertEquals(List.of(given.get("asked")), request.get("documents"), (String) given.get("name"));
        }
        Outcome outcome = codec.decode(answer(given), 1).get(0);
        try {
            if (outcome instanceof Outcome.Answered answered) {
                annotator.answered(document, answered.fields());
            } else {
                annotator.skipped(document, ((Outcome.Skipped) outcome).reason().word());
            }
        } catch (IllegalArgumentException e) {
            // the target is taken: the document is indexed as it came
        }
    }

    private static byte[] answer(Map<String, Object> given) throws IOException {
        try (XContentBuilder json = XContentBuilder.builder(XContentType.JSON.xContent())) {
            json.map(Map.of("results", List.of(given.get("answer"))));
            return BytesReference.toBytes(BytesReference.bytes(json));
        }
    }

    private static XContentParser parser(byte[] json) throws IOException {
        return XContentType.JSON.xContent().createParser(XContentParserConfiguration.EMPTY, new String(json, StandardCharsets.UTF_8));
    }
}
