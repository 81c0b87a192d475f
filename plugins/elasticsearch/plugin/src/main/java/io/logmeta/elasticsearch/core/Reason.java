package io.logmeta.elasticsearch.core;

import java.util.Locale;

/** Why a document carries no score. The lower-case name is what stands in {@code logmeta.reason}. */
public enum Reason {
    UNAVAILABLE,
    CIRCUIT_OPEN,
    QUEUE_FULL,
    DEADLINE,
    UNAUTHORIZED,
    BAD_RESPONSE,
    OVERLOADED,
    TOO_LARGE,
    MISSING_FIELD;

    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Whether the same document may well be scored when it is sent again. */
    public boolean passes() {
        return this != TOO_LARGE && this != MISSING_FIELD;
    }
}
