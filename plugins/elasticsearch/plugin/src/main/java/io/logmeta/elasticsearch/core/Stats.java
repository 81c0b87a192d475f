package io.logmeta.elasticsearch.core;

import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAccumulator;
import java.util.concurrent.atomic.LongAdder;

/** Counts since the node started. */
public final class Stats {
    private static final int MOST_KINDS = 64; // scorers may bring reasons of their own
    private static final int WAIT_BUCKETS = 22; // powers of two: below 1 ms up to half an hour

    private final Map<String, LongAdder> statuses = new ConcurrentHashMap<>();
    private final Map<String, LongAdder> reasons = new ConcurrentHashMap<>();
    private final LongAdder batches = new LongAdder();
    private final LongAdder batchedDocuments = new LongAdder();
    private final LongAdder failedBatches = new LongAdder();
    private final LongAdder waits = new LongAdder();
    private final LongAdder waitedNanos = new LongAdder();
    private final LongAccumulator longestNanos = new LongAccumulator(Math::max, 0);
    private final AtomicLongArray waitBuckets = new AtomicLongArray(WAIT_BUCKETS);

    /** A document left this node's processor with this status; {@code reason} is null unless it was skipped. */
    public void document(String status, String reason) {
        count(statuses, status);
        if (reason != null) {
            count(reasons, reason);
        }
    }

    void sent(int documents) {
        batches.increment();
        batchedDocuments.add(documents);
    }

    void failedBatch() {
        failedBatches.increment();
    }

    void waited(long nanos) {
        waits.increment();
        waitedNanos.add(nanos);
        longestNanos.accumulate(nanos);
        waitBuckets.incrementAndGet(bucket(nanos));
    }

    Map<String, Object> documents() {
        return Map.of("by_status", sums(statuses), "skipped_by_reason", sums(reasons));
    }

    Map<String, Object> batches() {
        long sent = batches.sum();
        double mean = sent == 0 ? 0 : (double) batchedDocuments.sum() / sent;
        return Map.of("sent", sent, "failed", failedBatches.sum(), "mean_documents", Math.round(mean * 10) / 10.0);
    }

    /** Waits from submit to completion. The percentiles are upper edges of power-of-two buckets. */
    Map<String, Object> waits() {
        long n = waits.sum();
        double mean = n == 0 ? 0 : waitedNanos.sum() / 1e6 / n;
        return Map.of("mean_ms", Math.round(mean * 10) / 10.0, "p50_ms", quantile(0.5), "p99_ms", quantile(0.99),
            "max_ms", longestNanos.get() / 1_000_000);
    }

    private long quantile(double share) {
        long left = (long) Math.ceil(waits.sum() * share);
        for (int i = 0; i < WAIT_BUCKETS && left > 0; i++) {
            left -= waitBuckets.get(i);
            if (left <= 0) {
                return 1L << i;
            }
        }
        return 0;
    }

    private static int bucket(long nanos) {
        int bits = Long.SIZE - Long.numberOfLeadingZeros(nanos / 1_000_000);
        return Math.min(bits, WAIT_BUCKETS - 1);
    }

    private static void count(Map<String, LongAdder> counts, String kind) {
        String name = counts.size() < MOST_KINDS || counts.containsKey(kind) ? kind : "other";
        counts.computeIfAbsent(name, key -> new LongAdder()).increment();
    }

    private static Map<String, Object> sums(Map<String, LongAdder> counts) {
        Map<String, Object> sums = new TreeMap<>();
        counts.forEach((kind, count) -> sums.put(kind, count.sum()));
        return sums;
    }
}
