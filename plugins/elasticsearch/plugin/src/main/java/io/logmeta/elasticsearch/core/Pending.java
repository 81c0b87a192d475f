package io.logmeta.elasticsearch.core;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;

/** A line on its way. Completed exactly once, whoever comes first: the answer, the deadline or a refusal. */
final class Pending {
    final Line line;
    final int bytes;
    final long submittedNanos;
    final long deadlineNanos;

    private final AtomicBoolean done = new AtomicBoolean();
    private final BiConsumer<Pending, Outcome> completion;

    Pending(Line line, long submittedNanos, long waitNanos, BiConsumer<Pending, Outcome> completion) {
        this.line = line;
        this.bytes = line.bytes();
        this.submittedNanos = submittedNanos;
        this.deadlineNanos = submittedNanos + waitNanos;
        this.completion = completion;
    }

    void complete(Outcome outcome) {
        if (done.compareAndSet(false, true)) {
            completion.accept(this, outcome);
        }
    }

    boolean isDone() {
        return done.get();
    }

    boolean expiresBy(long nanos) {
        return deadlineNanos - nanos <= 0;
    }
}
