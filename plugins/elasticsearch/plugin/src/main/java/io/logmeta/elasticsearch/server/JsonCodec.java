package io.logmeta.elasticsearch.server;

import io.logmeta.elasticsearch.core.Codec;
import io.logmeta.elasticsearch.core.Explain;
import io.logmeta.elasticsearch.core.Line;
import io.logmeta.elasticsearch.core.Outcome;
import io.logmeta.elasticsearch.core.Reason;
import io.logmeta.elasticsearch.core.ScoringFailure;
import io.logmeta.elasticsearch.core.Text;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.XContentParserConfiguration;
import org.elasticsearch.xcontent.XContentType;

/** The scorer's JSON, with the server's own library. */
public final class JsonCodec implements Codec {
    private static final Set<String> STATUSES = Set.of("scored", "learning", "late", "skipped");
    private static final int BYTES_PER_LINE = 512;

    @Override
    public byte[] encode(List<Line> lines) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(lines.size() * BYTES_PER_LINE);
        try (XContentBuilder json = new XContentBuilder(XContentType.JSON.xContent(), bytes)) {
            json.startObject().startArray("documents");
            for (Line line : lines) {
                write(json, line);
            }
            json.endArray().field("explain", mostAsked(lines).word()).endObject();
        }
        return bytes.toByteArray();
    }

    /** One request carries lines of several pipelines: it asks for the most, and each document takes what it wanted. */
    private static Explain mostAsked(List<Line> lines) {
        return lines.stream().map(Line::explain).reduce(Explain.NONE, Explain::or);
    }

    private static void write(XContentBuilder json, Line line) throws IOException {
        json.startObject();
        json.field("source", Text.wellFormed(line.source()));
        if (line.stream() != null) {
            json.field("stream", Text.wellFormed(line.stream()));
        }
        if (line.timestamp() instanceof Number number) {
            json.field("timestamp").value(number);
        } else {
            json.field("timestamp", line.timestamp() == null ? null : Text.wellFormed(line.timestamp().toString()));
        }
        json.field("message", Text.wellFormed(line.message()));
        if (line.detectorVersion() != null) {
            json.field("detector_version", line.detectorVersion());
        }
        json.endObject();
    }

    @Override
    public List<Outcome> decode(byte[] body, int lines) throws ScoringFailure {
        List<?> results = results(body);
        if (results.size() != lines) {
            throw new ScoringFailure(Reason.BAD_RESPONSE, "the scorer sent " + results.size() + " results, needed one for each of " + lines + " lines");
        }
        return results.stream().map(JsonCodec::outcome).toList();
    }

    private static List<?> results(byte[] body) throws ScoringFailure {
        try (XContentParser parser = XContentType.JSON.xContent().createParser(XContentParserConfiguration.EMPTY, body)) {
            if (parser.map().get("results") instanceof List<?> results) {
                return results;
            }
        } catch (IOException | RuntimeException e) {
            throw new ScoringFailure(Reason.BAD_RESPONSE, "the scorer's answer is not JSON: " + firstLine(e.getMessage()), e);
        }
        throw new ScoringFailure(Reason.BAD_RESPONSE, "the scorer's answer has no list [results]; is this URL a logmeta scorer?");
    }

    /** The parser's second line repeats the answer. */
    private static String firstLine(String message) {
        return message == null ? "" : message.lines().findFirst().orElse("");
    }

    @SuppressWarnings("unchecked") // JSON objects have string keys
    private static Outcome outcome(Object result) {
        if (!(result instanceof Map<?, ?> map)) {
            return bad("a result is not an object");
        }
        if (map.get("error") instanceof Map<?, ?> error) {
            return new Outcome.Skipped(reason(error.get("type")), String.valueOf(error.get("reason")));
        }
        try {
            return answered(Fields.of((Map<String, Object>) map));
        } catch (IllegalArgumentException e) {
            return bad(e.getMessage());
        }
    }

    private static Outcome answered(Map<String, Object> fields) {
        if (!(fields.get("status") instanceof String status && STATUSES.contains(status))) {
            return bad("[status] came as " + fields.get("status") + ", needed one of " + STATUSES);
        }
        return new Outcome.Answered(fields);
    }

    private static Reason reason(Object type) {
        return Arrays.stream(Reason.values()).filter(reason -> reason.word().equals(type)).findFirst().orElse(Reason.BAD_RESPONSE);
    }

    private static Outcome bad(String detail) {
        return new Outcome.Skipped(Reason.BAD_RESPONSE, detail);
    }
}
