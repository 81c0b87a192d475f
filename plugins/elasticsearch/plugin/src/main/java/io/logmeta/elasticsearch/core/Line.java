package io.logmeta.elasticsearch.core;

/**
 * One log line that wants a score.
 *
 * @param stream the ordered sequence it belongs to, or null when the source is one sequence
 * @param timestamp text, a number, or null
 * @param detectorVersion the pinned version, or null for the current one
 */
public record Line(String source, String stream, Object timestamp, String message, String detectorVersion, Explain explain) {
    private static final int ENVELOPE_BYTES = 128; // keys, quotes and timestamp in the request

    /** Size in a request, near enough to bound memory (escapes are not counted). */
    public int bytes() {
        return ENVELOPE_BYTES + Text.utf8Length(message) + Text.utf8Length(source) + (stream == null ? 0 : Text.utf8Length(stream));
    }

    /** Lines of equal key keep their order on the way to the scorer. */
    public long key() {
        return Text.hash(stream == null ? source : source + '\0' + stream);
    }
}
