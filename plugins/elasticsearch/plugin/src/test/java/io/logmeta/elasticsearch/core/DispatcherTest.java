package io.logmeta.elasticsearch.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class DispatcherTest {
    private static final Duration LONG = Duration.ofMillis(150);

    private StubScorer scorer;

    @BeforeEach
    void start() throws Exception {
        scorer = new StubScorer();
    }

    @AfterEach
    void stop() {
        scorer.close();
    }

    @Test
    void every_stream_reaches_the_scorer_in_order_and_every_document_gets_its_own_answer() throws Exception {
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            for (int i = 0; i < 5000; i++) {
                rig.submit("host-" + i % 7, Integer.toString(i));
            }
            List<Rig.Completion> all = rig.all();
            assertEquals(5000, all.size());
            for (Rig.Completion completion : all) {
                Map<?, ?> template = (Map<?, ?>) ((Outcome.Answered) completion.outcome()).fields().get("template");
                assertEquals(completion.line().message(), template.get("text"));
            }
        }
        Map<Object, Integer> last = new HashMap<>();
        for (List<Map<String, Object>> batch : scorer.batches) {
            assertTrue(batch.size() <= 256);
            for (Map<String, Object> document : batch) {
                int number = Integer.parseInt((String) document.get("message"));
                assertTrue(number > last.getOrDefault(document.get("stream"), -1), "stream " + document.get("stream") + " out of order");
                last.put(document.get("stream"), number);
            }
        }
    }

    @Test
    void one_stream_has_one_request_in_flight() throws Exception {
        scorer.behaviour = StubScorer.slowly(5);
        try (Rig rig = new Rig(Rig.batches(Rig.config(scorer.url()), 10, Duration.ZERO))) {
            for (int i = 0; i < 200; i++) {
                rig.submit("one", Integer.toString(i));
            }
            assertEquals(List.of("scored"), rig.reasons());
        }
        assertEquals(1, scorer.mostAtOnce.get());
    }

    @Test
    void a_full_batch_does_not_linger() throws Exception {
        try (Rig rig = new Rig(Rig.batches(Rig.config(scorer.url()), 4, Duration.ofSeconds(3)))) {
            for (int i = 0; i < 4; i++) {
                rig.submit("one", Integer.toString(i));
            }
            assertTrue(rig.all().stream().allMatch(completion -> completion.afterMillis() < 2000));
        }
        assertEquals(1, scorer.batches.size());
    }

    @Test
    void a_lone_line_waits_for_company_no_longer_than_the_linger() throws Exception {
        try (Rig rig = new Rig(Rig.batches(Rig.config(scorer.url()), 256, LONG))) {
            rig.submit("one", "a");
            rig.submit("one", "b");
            assertTrue(rig.all().stream().allMatch(completion -> completion.afterMillis() >= LONG.toMillis()));
        }
        assertEquals(List.of(List.of("a", "b")), scorer.batches.stream().map(b -> b.stream().map(d -> d.get("message")).toList()).toList());
    }

    @Test
    void a_hanging_scorer_never_blocks_the_submitting_thread() throws Exception {
        scorer.behaviour = StubScorer.slowly(1000);
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            long start = System.nanoTime();
            for (int i = 0; i < 10_000; i++) {
                rig.submit("host-" + i % 5, "m", Duration.ofMillis(100));
            }
            assertTrue(System.nanoTime() - start < TimeUnit.MILLISECONDS.toNanos(900));
            assertEquals(10_000, rig.all().size());
        }
    }

    @Test
    void completions_run_on_our_own_pool() throws Exception {
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            rig.submit("one", "a");
            assertEquals("logmeta-pool", rig.all().get(0).thread());
        }
    }

    @Test
    void a_full_queue_skips_at_once_and_lets_the_rest_be_scored() throws Exception {
        scorer.behaviour = StubScorer.slowly(100);
        try (Rig rig = new Rig(Rig.queue(Rig.config(scorer.url()), 10, 64 << 20))) {
            for (int i = 0; i < 25; i++) {
                rig.submit("one", "m");
            }
            List<Rig.Completion> all = rig.all();
            assertEquals(10, all.stream().filter(c -> Rig.reason(c.outcome()).equals("scored")).count());
            assertEquals(15, all.stream().filter(c -> Rig.reason(c.outcome()).equals("queue_full")).count());
            rig.submit("one", "there is room again");
            assertEquals("scored", Rig.reason(rig.all().get(25).outcome()));
        }
    }

    @Test
    void the_queue_is_bounded_in_bytes_too() throws Exception {
        scorer.behaviour = StubScorer.slowly(100);
        int size = Rig.line("one", "x".repeat(1000)).bytes();
        try (Rig rig = new Rig(Rig.queue(Rig.config(scorer.url()), 1000, 3L * size))) {
            for (int i = 0; i < 5; i++) {
                rig.submit("one", "x".repeat(1000));
            }
            assertEquals(2, rig.all().stream().filter(c -> Rig.reason(c.outcome()).equals("queue_full")).count());
        }
    }

    @Test
    void a_line_above_one_mebibyte_is_too_large_and_costs_only_itself() throws Exception {
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            rig.submit("one", "x".repeat(1 << 20));
            rig.submit("one", "short");
            assertEquals(List.of("scored", "too_large"), rig.reasons());
        }
    }

    @Test
    void large_lines_travel_in_batches_of_four_mebibytes() throws Exception {
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            for (int i = 0; i < 10; i++) {
                rig.submit("one", "x".repeat(1_000_000));
            }
            assertEquals(List.of("scored"), rig.reasons());
        }
        assertTrue(scorer.batches.stream().allMatch(batch -> batch.size() <= 4));
    }

    @Test
    void a_lone_surrogate_costs_neither_its_line_nor_its_batch() throws Exception {
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            rig.submit("one", "broken \uD83D here");
            rig.submit("one", "whole \uD83D\uDE00 here");
            assertEquals(List.of("scored"), rig.reasons());
        }
        assertEquals(List.of("broken \uFFFD here", "whole \uD83D\uDE00 here"), scorer.messages());
    }

    @Test
    void the_token_of_the_moment_travels_and_http_is_pinned_to_1_1() throws Exception {
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            rig.submit("one", "a");
            rig.all();
            rig.token = "secret";
            rig.submit("one", "b");
            rig.all();
        }
        assertEquals(List.of("null", "Bearer secret"), scorer.tokens);
        assertEquals(Set.of("null"), new HashSet<>(scorer.upgrades));
    }

    @Test
    void new_settings_hold_for_the_next_line() throws Exception {
        try (StubScorer second = new StubScorer(); Rig rig = new Rig(Rig.config(scorer.url()))) {
            rig.submit("one", "to the first");
            rig.all();
            rig.dispatcher.update(Rig.config(second.url()));
            rig.submit("one", "to the second");
            rig.all();
            assertEquals(List.of("to the first"), scorer.messages());
            assertEquals(List.of("to the second"), second.messages());
        }
    }

    @Test
    void a_stream_stays_with_its_scorer_and_streams_spread_over_scorers() throws Exception {
        try (StubScorer second = new StubScorer(); Rig rig = new Rig(Rig.config(scorer.url(), second.url()))) {
            for (int i = 0; i < 600; i++) {
                rig.submit("host-" + i % 30, "m");
            }
            assertEquals(List.of("scored"), rig.reasons());
            Set<Object> first = streams(scorer);
            Set<Object> other = streams(second);
            assertEquals(30, first.size() + other.size()); // none is in both
            assertTrue(first.size() > 5 && other.size() > 5, first.size() + " and " + other.size());
        }
    }

    @Test
    void a_scorer_that_goes_moves_only_its_own_streams() {
        List<URI> urls = new ArrayList<>(List.of(URI.create("http://a"), URI.create("http://b"), URI.create("http://c")));
        List<URI> fewer = urls.subList(0, 2);
        for (int i = 0; i < 300; i++) {
            long key = Rig.line("host-" + i, "m").key();
            URI before = heaviest(urls, key);
            if (!before.equals(URI.create("http://c"))) {
                assertEquals(before, heaviest(fewer, key));
            }
        }
    }

    @Test
    void the_streams_of_a_dead_scorer_go_to_the_next_one() throws Exception {
        StubScorer second = new StubScorer();
        second.close();
        try (Rig rig = new Rig(Rig.breaker(Rig.config(scorer.url(), second.url()), 1, Duration.ofSeconds(60)))) {
            for (int i = 0; i < 30; i++) {
                rig.submit("host-" + i, "finds the dead one");
            }
            rig.all();
            int before = rig.submitted();
            for (int i = 0; i < 30; i++) {
                rig.submit("host-" + i, "after the breaker opened");
            }
            assertTrue(rig.all().stream().skip(before).allMatch(c -> Rig.reason(c.outcome()).equals("scored")));
        }
    }

    @Test
    void a_callback_that_throws_costs_only_itself_and_is_told() throws Exception {
        CountDownLatch second = new CountDownLatch(1);
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            rig.dispatcher.submit(Rig.line("one", "a"), Duration.ofSeconds(2), outcome -> {
                throw new IllegalStateException("a broken pipeline");
            });
            rig.dispatcher.submit(Rig.line("one", "b"), Duration.ofSeconds(2), outcome -> second.countDown());
            assertTrue(second.await(5, TimeUnit.SECONDS));
            assertEquals(1, rig.journal.size());
        }
    }

    @Test
    void closing_leaves_nobody_waiting() throws Exception {
        scorer.behaviour = StubScorer.slowly(2000);
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            for (int i = 0; i < 500; i++) {
                rig.submit("host-" + i % 4, "m");
            }
            rig.dispatcher.close();
            assertEquals(500, rig.all().size());
        }
    }

    @Test
    void the_statistics_add_up() throws Exception {
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            for (int i = 0; i < 100; i++) {
                rig.submit("one", "m");
            }
            rig.all();
            Map<String, Object> snapshot = rig.dispatcher.snapshot();
            assertEquals(Map.of("documents", 0, "bytes", 0L), snapshot.get("queue"));
            Map<?, ?> batches = (Map<?, ?>) snapshot.get("batches");
            assertEquals((long) scorer.batches.size(), batches.get("sent"));
            assertNotEquals(0.0, batches.get("mean_documents"));
            assertEquals("closed", ((Map<?, ?>) ((List<?>) snapshot.get("scorers")).get(0)).get("breaker"));
        }
    }

    private static Set<Object> streams(StubScorer stub) {
        Set<Object> streams = new HashSet<>();
        stub.batches.forEach(batch -> batch.forEach(document -> streams.add(document.get("stream"))));
        return streams;
    }

    private static URI heaviest(List<URI> urls, long key) {
        return urls.stream().max((a, b) -> Long.compare(weight(a, key), weight(b, key))).orElseThrow();
    }

    private static long weight(URI url, long key) {
        return Text.mix(key ^ Text.hash(url.toString()));
    }
}
