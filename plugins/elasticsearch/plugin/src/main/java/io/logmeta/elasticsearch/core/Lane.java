package io.logmeta.elasticsearch.core;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;

/**
 * Lines in the order they came, sent in micro-batches with one request in flight, so a stream reaches the scorer in order.
 *
 * <p>{@link #add} only enqueues: requests are built and documents completed on the executor, never on a write thread.
 */
final class Lane {
    private static final Duration SWEEP = Duration.ofMillis(50); // how late a deadline may be noticed
    private static final long MAX_BATCH_BYTES = 4L << 20;
    private static final Duration LONGEST_REST = Duration.ofSeconds(5);

    private enum State {
        IDLE,
        LINGERING, // waits a moment for more lines
        PUMPING, // builds a batch
        BUSY, // a request is in flight
        RESTING // the scorer asked for rest
    }

    private final Scorer scorer;
    private final Breaker breaker;
    private final Shared shared;
    private final ArrayDeque<Pending> queue = new ArrayDeque<>();
    private List<Pending> inFlight = List.of();
    private State state = State.IDLE;
    private boolean watched;
    private boolean overloaded; // since a refusal, until the next answer
    private long restedNanos;

    Lane(Scorer scorer, Breaker breaker, Shared shared) {
        this.scorer = scorer;
        this.breaker = breaker;
        this.shared = shared;
    }

    void add(Pending pending) {
        if (enqueue(pending)) {
            watch();
            wake();
        } else {
            pending.complete(Outcome.skipped(Reason.OVERLOADED));
        }
    }

    private synchronized boolean enqueue(Pending pending) {
        boolean hopeless = state == State.RESTING && pending.expiresBy(restedNanos);
        return !hopeless && queue.add(pending);
    }

    private synchronized void wake() {
        Config config = shared.config().get();
        if (state != State.IDLE && state != State.LINGERING) {
            return;
        }
        if (queue.size() >= config.batchSize() || config.linger().isZero()) {
            pumpSoon();
        } else if (state == State.IDLE) {
            state = State.LINGERING;
            shared.timer().after(config.linger(), () -> resume(State.LINGERING));
        }
    }

    private void resume(State from) {
        synchronized (this) {
            if (state != from) {
                return; // a full batch was quicker
            }
            state = State.PUMPING;
        }
        pump();
    }

    private void pumpSoon() {
        state = State.PUMPING;
        shared.executor().execute(this::pump);
    }

    private void pump() {
        List<Pending> batch = take();
        while (!batch.isEmpty() && !breaker.tryPass()) {
            batch.forEach(pending -> pending.complete(Outcome.skipped(Reason.CIRCUIT_OPEN)));
            batch = take();
        }
        if (!batch.isEmpty()) {
            send(batch);
        }
    }

    private synchronized List<Pending> take() {
        int most = shared.config().get().batchSize();
        List<Pending> batch = new ArrayList<>(Math.min(most, queue.size()));
        for (long bytes = 0; batch.size() < most && !queue.isEmpty(); ) {
            bytes += queue.peek().bytes;
            if (bytes > MAX_BATCH_BYTES && !batch.isEmpty()) {
                break;
            }
            batch.add(queue.poll());
        }
        inFlight = batch;
        state = batch.isEmpty() ? State.IDLE : State.BUSY;
        return batch;
    }

    private void send(List<Pending> batch) {
        shared.stats().sent(batch.size());
        CompletableFuture<List<Outcome>> answer;
        try {
            answer = scorer.score(batch.stream().map(pending -> pending.line).toList());
        } catch (Throwable t) { // also what the sandbox throws: without this the documents and their bulk hang for ever
            answer = CompletableFuture.failedFuture(t);
        }
        answer.whenCompleteAsync((outcomes, failure) -> finished(batch, outcomes, failure), shared.executor());
    }

    private void finished(List<Pending> batch, List<Outcome> outcomes, Throwable failure) {
        if (failure == null) {
            breaker.answered();
            calm();
            next();
            deliver(batch, outcomes);
        } else {
            failed(batch, asScoringFailure(failure));
        }
    }

    private void failed(List<Pending> batch, ScoringFailure failure) {
        shared.stats().failedBatch();
        if (failure.retryAfter() != null) {
            breaker.answered();
            rest(batch, failure.retryAfter());
            return;
        }
        breaker.failed(failure);
        calm();
        next();
        batch.forEach(pending -> pending.complete(new Outcome.Skipped(failure.reason(), failure.getMessage())));
    }

    private synchronized void calm() {
        overloaded = false;
    }

    /** The next request goes out before the documents go on: what follows in their pipeline may take its time. */
    private synchronized void next() {
        inFlight = List.of();
        if (queue.isEmpty()) {
            state = State.IDLE;
        } else {
            pumpSoon();
        }
    }

    private static void deliver(List<Pending> batch, List<Outcome> outcomes) {
        for (int i = 0; i < batch.size(); i++) {
            batch.get(i).complete(outcomes.get(i));
        }
    }

    /** An overloaded scorer gets the rest it asked for, then the same lines again, in order; those that cannot wait give up now. */
    private void rest(List<Pending> batch, Duration asked) {
        Duration rest = asked.compareTo(LONGEST_REST) < 0 ? asked : LONGEST_REST;
        List<Pending> hopeless = putBack(batch, shared.nanoTime().getAsLong() + rest.toNanos());
        hopeless.forEach(pending -> pending.complete(Outcome.skipped(Reason.OVERLOADED)));
        shared.timer().after(rest, () -> resume(State.RESTING));
        watch();
    }

    private synchronized List<Pending> putBack(List<Pending> batch, long untilNanos) {
        for (int i = batch.size() - 1; i >= 0; i--) {
            queue.addFirst(batch.get(i));
        }
        inFlight = List.of();
        state = State.RESTING;
        overloaded = true;
        restedNanos = untilNanos;
        List<Pending> hopeless = queue.stream().filter(pending -> pending.isDone() || pending.expiresBy(untilNanos)).toList();
        queue.removeIf(pending -> pending.isDone() || pending.expiresBy(untilNanos));
        return hopeless;
    }

    private synchronized void watch() {
        if (!watched) {
            watched = true;
            shared.timer().after(SWEEP, this::sweep);
        }
    }

    /** Completes what has waited too long, also in flight: a bulk is not held by a scorer that hangs. */
    private void sweep() {
        List<Pending> expired = expired(shared.nanoTime().getAsLong());
        Outcome outcome = Outcome.skipped(isOverloaded() ? Reason.OVERLOADED : Reason.DEADLINE);
        expired.forEach(pending -> pending.complete(outcome));
    }

    private synchronized boolean isOverloaded() {
        return overloaded;
    }

    private synchronized List<Pending> expired(long nanos) {
        List<Pending> expired = new ArrayList<>(inFlight.stream().filter(pending -> pending.expiresBy(nanos)).toList());
        for (Pending pending : queue) {
            if (pending.expiresBy(nanos)) {
                expired.add(pending);
            }
        }
        queue.removeIf(pending -> pending.expiresBy(nanos));
        watched = false;
        if (!queue.isEmpty() || !inFlight.isEmpty()) {
            watch();
        }
        return expired;
    }

    /** The node stops: nobody is left waiting. */
    void close() {
        List<Pending> left;
        synchronized (this) {
            left = new ArrayList<>(inFlight);
            left.addAll(queue);
            queue.clear();
        }
        left.forEach(pending -> pending.complete(Outcome.skipped(Reason.UNAVAILABLE)));
    }

    private static ScoringFailure asScoringFailure(Throwable failure) {
        Throwable cause = failure instanceof CompletionException && failure.getCause() != null ? failure.getCause() : failure;
        return cause instanceof ScoringFailure known ? known : new ScoringFailure(Reason.UNAVAILABLE, "request not sent: " + cause, cause);
    }
}
