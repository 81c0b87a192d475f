package io.logmeta.elasticsearch.core;

import java.io.IOException;
import java.util.List;

/** Lines to a request body and an answer back to outcomes. The server brings the JSON library. */
public interface Codec {
    byte[] encode(List<Line> lines) throws IOException;

    /**
     * One outcome per line, in order.
     *
     * @throws ScoringFailure with {@link Reason#BAD_RESPONSE}: not the promised JSON, or not one result per line
     */
    List<Outcome> decode(byte[] body, int lines) throws ScoringFailure;
}
