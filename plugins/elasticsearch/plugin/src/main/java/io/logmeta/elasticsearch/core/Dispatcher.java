package io.logmeta.elasticsearch.core;

import java.io.Closeable;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Executor;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;

/** The way in: takes lines from write threads, never blocks them, and completes each line exactly once within its wait. */
public final class Dispatcher implements Closeable {
    private static final int MAX_LINE_BYTES = 1 << 20;

    private final Function<URI, Scorer> scorers;
    private final Journal journal;
    private final Shared shared;
    private final Capacity capacity = new Capacity();
    private final Stats stats = new Stats();
    private volatile Config config;
    private volatile List<Endpoint> endpoints = List.of();

    public Dispatcher(Config config, HttpScorers http, Executor executor, Timer timer, Journal journal) {
        this.scorers = url -> http.at(url, () -> this.config.requestTimeout(), executor, timer);
        this.journal = journal;
        this.shared = new Shared(() -> this.config, executor, timer, System::nanoTime, stats);
        update(config);
    }

    /** Takes new settings. Scorers that stay keep their breaker and their queue; those that go finish what they have. */
    public synchronized void update(Config next) {
        config = next;
        endpoints = next.urls().stream().distinct().map(this::endpoint).toList();
    }

    private Endpoint endpoint(URI url) {
        return endpoints.stream()
            .filter(known -> known.url.equals(url) && known.lanes() == config.lanes())
            .findFirst()
            .orElseGet(() -> new Endpoint(url, scorers.apply(url), new Breaker(url.toString(), shared.config(), shared.nanoTime(), journal), shared));
    }

    /**
     * Asks for a line's outcome.
     *
     * @param maxWait counted from now, over queue and request
     * @param callback called exactly once: at once on this thread when the line is refused, else on the executor
     */
    public void submit(Line line, Duration maxWait, Consumer<Outcome> callback) {
        Config limits = config;
        Pending pending = new Pending(line, shared.nanoTime().getAsLong(), maxWait.toNanos(), completion(callback));
        long key = line.key();
        Endpoint endpoint = route(key);
        if (pending.bytes > Math.min(MAX_LINE_BYTES, limits.queueBytes())) {
            refuse(Reason.TOO_LARGE, callback);
        } else if (endpoint == null) {
            refuse(Reason.CIRCUIT_OPEN, callback);
        } else if (!capacity.tryAcquire(pending.bytes, limits)) {
            refuse(Reason.QUEUE_FULL, callback);
        } else {
            endpoint.lane(key).add(pending);
        }
    }

    /** The heaviest scorer that may be asked; null when every breaker is open. */
    private Endpoint route(long key) {
        Endpoint best = null;
        for (Endpoint candidate : endpoints) {
            if (candidate.breaker.admits() && (best == null || candidate.weight(key) > best.weight(key))) {
                best = candidate;
            }
        }
        return best;
    }

    private BiConsumer<Pending, Outcome> completion(Consumer<Outcome> callback) {
        return (pending, outcome) -> {
            capacity.release(pending.bytes);
            stats.waited(shared.nanoTime().getAsLong() - pending.submittedNanos);
            call(callback, outcome);
        };
    }

    private void refuse(Reason reason, Consumer<Outcome> callback) {
        stats.waited(0);
        call(callback, Outcome.skipped(reason));
    }

    private void call(Consumer<Outcome> callback, Outcome outcome) {
        try {
            callback.accept(outcome);
        } catch (Throwable t) { // the other documents of the batch still wait for theirs
            journal.warn("a document's pipeline failed after logmeta handed it back", t);
        }
    }

    public Stats stats() {
        return stats;
    }

    /** What {@code GET _logmeta/stats} shows of this node. */
    public Map<String, Object> snapshot() {
        Map<String, Object> snapshot = new TreeMap<>();
        snapshot.put("documents", stats.documents());
        snapshot.put("batches", stats.batches());
        snapshot.put("waits", stats.waits());
        snapshot.put("queue", Map.of("documents", capacity.documents(), "bytes", capacity.bytes()));
        snapshot.put("scorers", endpoints.stream().map(Dispatcher::describe).toList());
        return snapshot;
    }

    private static Map<String, Object> describe(Endpoint endpoint) {
        Map<String, Object> scorer = new TreeMap<>();
        scorer.put("url", endpoint.url.toString());
        scorer.put("breaker", endpoint.breaker.state());
        scorer.put("breaker_opened", endpoint.breaker.opened());
        if (endpoint.breaker.lastFailure() != null) {
            scorer.put("last_failure", endpoint.breaker.lastFailure());
        }
        return scorer;
    }

    @Override
    public void close() {
        endpoints.forEach(Endpoint::close);
    }
}
