package io.logmeta.elasticsearch.core;

import java.util.Locale;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Stops asking a scorer that does not answer: after some failures in a row it opens, skips everything for a while, then lets
 * one batch through as a probe.
 */
final class Breaker {
    enum State {
        CLOSED,
        OPEN,
        PROBING
    }

    private final String name;
    private final Supplier<Config> config;
    private final LongSupplier nanoTime;
    private final Journal journal;
    private State state = State.CLOSED;
    private int failures;
    private long opened;
    private long openedAtNanos;
    private String lastFailure;

    Breaker(String name, Supplier<Config> config, LongSupplier nanoTime, Journal journal) {
        this.name = name;
        this.config = config;
        this.nanoTime = nanoTime;
        this.journal = journal;
    }

    /** Whether a new line has a chance: false only while open and while a probe is under way. */
    synchronized boolean admits() {
        return state == State.CLOSED || probeIsDue();
    }

    /** Whether a batch may be sent now. Takes the probe, so each true must be followed by an answer or a failure. */
    synchronized boolean tryPass() {
        if (probeIsDue()) {
            state = State.PROBING;
            return true;
        }
        return state == State.CLOSED;
    }

    synchronized void answered() {
        if (state != State.CLOSED) {
            journal.info("scorer " + name + " answers again; scoring goes on");
        }
        state = State.CLOSED;
        failures = 0;
    }

    synchronized void failed(Throwable failure) {
        lastFailure = failure.getMessage();
        failures++;
        if (state == State.PROBING || state == State.CLOSED && failures >= config.get().breakerFailures()) {
            open(failure);
        }
    }

    synchronized String state() {
        return state.name().toLowerCase(Locale.ROOT);
    }

    synchronized long opened() {
        return opened;
    }

    synchronized String lastFailure() {
        return lastFailure;
    }

    private void open(Throwable failure) {
        if (state == State.CLOSED) { // a failed probe is no news
            journal.warn("scorer " + name + " failed " + failures + " times in a row; documents are indexed with status skipped"
                + " and one batch is tried every " + config.get().breakerOpen().toMillis() + " ms: " + lastFailure, failure.getCause());
        }
        state = State.OPEN;
        opened++;
        openedAtNanos = nanoTime.getAsLong();
    }

    private boolean probeIsDue() {
        return state == State.OPEN && nanoTime.getAsLong() - openedAtNanos >= config.get().breakerOpen().toNanos();
    }
}
