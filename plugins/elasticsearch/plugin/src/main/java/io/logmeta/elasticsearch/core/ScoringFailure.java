package io.logmeta.elasticsearch.core;

import java.time.Duration;

/** A request brought no usable answer for any of its lines. */
public final class ScoringFailure extends Exception {
    private static final long serialVersionUID = 1L;

    private final Reason reason;
    private final transient Duration retryAfter;

    public ScoringFailure(Reason reason, String message) {
        this(reason, message, null, null);
    }

    public ScoringFailure(Reason reason, String message, Throwable cause) {
        this(reason, message, cause, null);
    }

    ScoringFailure(Reason reason, String message, Throwable cause, Duration retryAfter) {
        super(message, cause);
        this.reason = reason;
        this.retryAfter = retryAfter;
    }

    public Reason reason() {
        return reason;
    }

    /** How long the scorer asked for rest, or null: a rest is a sign of life, silence is not. */
    Duration retryAfter() {
        return retryAfter;
    }
}
