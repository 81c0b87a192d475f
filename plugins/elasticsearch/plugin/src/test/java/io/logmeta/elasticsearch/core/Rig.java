package io.logmeta.elasticsearch.core;

import io.logmeta.elasticsearch.server.JsonCodec;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** A dispatcher with small limits, a pool of its own, and a record of what was completed. */
final class Rig implements AutoCloseable {
    record Completion(Line line, Outcome outcome, String thread, long afterMillis) {}

    final Queue<Completion> completions = new ConcurrentLinkedQueue<>();
    final List<String> journal = new CopyOnWriteArrayList<>();
    final Dispatcher dispatcher;
    volatile String token;
    private final AtomicInteger submitted = new AtomicInteger();
    private final ExecutorService pool = Executors.newFixedThreadPool(4, task -> new Thread(task, "logmeta-pool"));
    private final ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor();
    private final HttpScorers http = new HttpScorers(null, new JsonCodec(), () -> token);

    Rig(Config config) {
        Timer timer = (delay, task) -> {
            ScheduledFuture<?> scheduled = clock.schedule(() -> pool.execute(task), delay.toNanos(), TimeUnit.NANOSECONDS);
            return () -> scheduled.cancel(false);
        };
        dispatcher = new Dispatcher(config, http, pool, timer, new Log());
    }

    static Config config(URI... urls) {
        return new Config(List.of(urls), 256, Duration.ofMillis(2), 4, 30_000, 64L << 20, 3, Duration.ofMillis(300), Duration.ofMillis(1500));
    }

    static Config batches(Config c, int size, Duration linger) {
        return new Config(c.urls(), size, linger, c.lanes(), c.queueDocuments(), c.queueBytes(), c.breakerFailures(), c.breakerOpen(), c.requestTimeout());
    }

    static Config queue(Config c, int documents, long bytes) {
        return new Config(c.urls(), c.batchSize(), c.linger(), c.lanes(), documents, bytes, c.breakerFailures(), c.breakerOpen(), c.requestTimeout());
    }

    static Config breaker(Config c, int failures, Duration open) {
        return new Config(c.urls(), c.batchSize(), c.linger(), c.lanes(), c.queueDocuments(), c.queueBytes(), failures, open, c.requestTimeout());
    }

    static Config timeout(Config c, Duration timeout) {
        return new Config(c.urls(), c.batchSize(), c.linger(), c.lanes(), c.queueDocuments(), c.queueBytes(), c.breakerFailures(), c.breakerOpen(), timeout);
    }

    static Line line(String stream, String message) {
        return new Line("payments", stream, null, message, null, Explain.ALARMS);
    }

    void submit(String stream, String message) {
        submit(stream, message, Duration.ofSeconds(5));
    }

    void submit(String stream, String message, Duration maxWait) {
        Line line = line(stream, message);
        long start = System.nanoTime();
        submitted.incrementAndGet();
        dispatcher.submit(line, maxWait, outcome -> completions.add(
            new Completion(line, outcome, Thread.currentThread().getName(), (System.nanoTime() - start) / 1_000_000)));
    }

    /** Waits for every document, then a little longer to catch a second completion. */
    List<Completion> all() throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (completions.size() < submitted.get() && System.nanoTime() < deadline) {
            Thread.sleep(5);
        }
        Thread.sleep(30);
        return List.copyOf(completions);
    }

    List<String> reasons() throws InterruptedException {
        return all().stream().map(completion -> reason(completion.outcome)).distinct().sorted().toList();
    }

    static String reason(Outcome outcome) {
        return outcome instanceof Outcome.Skipped skipped ? skipped.reason().word() : "scored";
    }

    int submitted() {
        return submitted.get();
    }

    @Override
    public void close() {
        dispatcher.close();
        clock.shutdownNow();
        pool.shutdownNow();
    }

    private final class Log implements Journal {
        @Override
        public void info(String message) {
            journal.add(message);
        }

        @Override
        public void warn(String message, Throwable cause) {
            journal.add(message);
        }
    }
}
