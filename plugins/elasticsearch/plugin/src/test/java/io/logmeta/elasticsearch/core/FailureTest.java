package io.logmeta.elasticsearch.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever the scorer does, each document is completed once, in time, and says why it has no score. */
class FailureTest {
    private StubScorer scorer;

    @BeforeEach
    void start() throws Exception {
        scorer = new StubScorer();
    }

    @AfterEach
    void stop() {
        scorer.close();
    }

    static Stream<Arguments> troubles() {
        return Stream.of(
            Arguments.of("500", StubScorer.replying(500, "boom"), "unavailable"),
            Arguments.of("502", StubScorer.replying(502, ""), "unavailable"),
            Arguments.of("401", StubScorer.replying(401, "{}"), "unauthorized"),
            Arguments.of("403", StubScorer.replying(403, "{}"), "unauthorized"),
            Arguments.of("413", StubScorer.replying(413, "{}"), "too_large"),
            Arguments.of("503 without a promise", StubScorer.replying(503, "{}"), "overloaded"),
            Arguments.of("404", StubScorer.replying(404, "{}"), "bad_response"),
            Arguments.of("a redirect", StubScorer.replying(302, "", "Location", "http://127.0.0.1:1/"), "bad_response"),
            Arguments.of("not JSON", StubScorer.replying(200, "<html>welcome</html>"), "bad_response"),
            Arguments.of("JSON of another kind", StubScorer.replying(200, "[1,2]"), "bad_response"),
            Arguments.of("no results", StubScorer.replying(200, "{\"ok\":true}"), "bad_response"),
            Arguments.of("too few results", StubScorer.replying(200, "{\"results\":[]}"), "bad_response"),
            Arguments.of("too many results", StubScorer.replying(200, "{\"results\":[" + "{\"status\":\"scored\"},".repeat(99) + "{}]}"), "bad_response"),
            Arguments.of("an empty body", StubScorer.replying(200, ""), "bad_response"),
            Arguments.of("an answer that never ends", StubScorer.replying(200, " ".repeat((16 << 20) + 1)), "bad_response"),
            Arguments.of("a hang", StubScorer.slowly(10_000), "deadline"),
            Arguments.of("a hang after the headers", StubScorer.halfAnAnswer(), "deadline")
        );
    }

    @ParameterizedTest(name = "{0} is told as {2}")
    @MethodSource("troubles")
    void trouble_is_told_by_its_reason(String name, StubScorer.Behaviour behaviour, String reason) throws Exception {
        scorer.behaviour = behaviour;
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            for (int i = 0; i < 20; i++) {
                rig.submit("one", "m");
            }
            assertEquals(List.of(reason), rig.reasons());
            assertEquals(20, rig.all().size());
        }
    }

    @Test
    void a_scorer_that_is_down_is_unavailable() throws Exception {
        scorer.close();
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            rig.submit("one", "m");
            assertEquals(List.of("unavailable"), rig.reasons());
        }
    }

    @Test
    void a_host_that_does_not_exist_is_unavailable() throws Exception {
        try (Rig rig = new Rig(Rig.timeout(Rig.config(URI.create("http://no-such-host.invalid:1")), Duration.ofSeconds(4)))) {
            rig.submit("one", "m");
            assertEquals(List.of("unavailable"), rig.reasons());
        }
    }

    @Test
    void the_deadline_counts_from_submit_over_queue_and_request() throws Exception {
        scorer.behaviour = StubScorer.slowly(2000);
        Config patient = Rig.timeout(Rig.batches(Rig.config(scorer.url()), 1, Duration.ZERO), Duration.ofSeconds(10));
        try (Rig rig = new Rig(patient)) {
            rig.submit("one", "in flight", Duration.ofMillis(300));
            rig.submit("one", "in the queue", Duration.ofMillis(300));
            for (Rig.Completion completion : rig.all()) {
                assertEquals("deadline", Rig.reason(completion.outcome()));
                assertTrue(completion.afterMillis() >= 300 && completion.afterMillis() < 1000, completion.toString());
            }
            Thread.sleep(2100); // the answer comes after all, and must not complete anything twice
            assertEquals(2, rig.all().size());
        }
    }

    @Test
    void an_overloaded_scorer_gets_its_rest_and_then_the_same_lines_in_order() throws Exception {
        StubScorer.Behaviour overloaded = StubScorer.replying(503, "{}", "Retry-After", "0.2");
        scorer.behaviour = (stub, exchange, documents) -> {
            (stub.batches.size() <= 2 ? overloaded : (StubScorer.Behaviour) StubScorer::score).answer(stub, exchange, documents);
        };
        try (Rig rig = new Rig(Rig.batches(Rig.config(scorer.url()), 2, Duration.ofMillis(20)))) {
            for (String message : List.of("a", "b", "c", "d")) {
                rig.submit("one", message);
            }
            assertEquals(List.of("scored"), rig.reasons());
            assertTrue(rig.all().get(0).afterMillis() >= 400);
            assertTrue(rig.journal.isEmpty(), "an overload opens no breaker");
        }
        assertEquals(List.of("a", "b", "a", "b", "a", "b", "c", "d"), scorer.messages());
    }

    @Test
    void a_line_that_cannot_wait_for_the_rest_is_skipped_at_once_as_overloaded() throws Exception {
        scorer.behaviour = StubScorer.replying(503, "{}", "Retry-After", "30");
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            rig.submit("one", "m", Duration.ofSeconds(2));
            assertTrue(rig.all().get(0).afterMillis() < 1000);
            rig.submit("one", "comes during the rest", Duration.ofSeconds(2));
            assertTrue(rig.all().get(1).afterMillis() < 1000);
            assertEquals(List.of("overloaded"), rig.reasons());
        }
        assertEquals(1, scorer.batches.size());
    }

    @Test
    void what_runs_out_of_time_under_overload_is_told_as_overloaded() throws Exception {
        scorer.behaviour = StubScorer.replying(503, "{}", "Retry-After", "0.05");
        try (Rig rig = new Rig(Rig.batches(Rig.config(scorer.url()), 2, Duration.ZERO))) {
            for (int i = 0; i < 10; i++) {
                rig.submit("one", "m", Duration.ofMillis(300));
            }
            assertEquals(List.of("overloaded"), rig.reasons());
        }
        assertTrue(scorer.batches.size() >= 2);
    }

    @Test
    void a_connection_closed_while_idle_costs_no_document() throws Exception {
        scorer.behaviour = (stub, exchange, documents) -> {
            if (stub.batches.size() == 1) {
                exchange.close(); // no status line at all, as when the scorer closed the connection first
            } else {
                stub.score(exchange, documents);
            }
        };
        try (Rig rig = new Rig(Rig.config(scorer.url()))) {
            rig.submit("one", "m");
            assertEquals(List.of("scored"), rig.reasons());
        }
    }

    @Test
    void one_bad_result_costs_only_its_line() throws Exception {
        String results = "{\"status\":\"scored\",\"score\":\"high\"},{\"error\":{\"type\":\"too_large\",\"reason\":\"cut it\"}},"
            + "{\"status\":\"skipped\",\"reason\":\"source_limit\"},{\"status\":\"wonderful\"},7,{\"status\":\"learning\"}";
        scorer.behaviour = StubScorer.replying(200, "{\"results\":[" + results + "]}");
        try (Rig rig = new Rig(Rig.batches(Rig.config(scorer.url()), 6, Duration.ofSeconds(2)))) {
            for (int i = 0; i < 6; i++) {
                rig.submit("one", Integer.toString(i));
            }
            assertEquals(List.of("bad_response", "too_large", "scored", "bad_response", "bad_response", "scored"),
                rig.all().stream().map(completion -> Rig.reason(completion.outcome())).toList());
        }
    }

    @Test
    void the_breaker_opens_after_three_failures_probes_once_and_closes_on_an_answer() throws Exception {
        scorer.behaviour = StubScorer.replying(500, "boom");
        try (Rig rig = new Rig(Rig.breaker(Rig.config(scorer.url()), 3, Duration.ofSeconds(1)))) {
            for (int i = 0; i < 3; i++) {
                rig.submit("one", "fails");
                rig.all();
            }
            rig.submit("one", "is not sent");
            assertEquals("circuit_open", Rig.reason(rig.all().get(3).outcome()));
            Thread.sleep(1050);
            rig.submit("one", "probes and fails");
            rig.all();
            rig.submit("one", "is not sent either");
            rig.all();
            assertEquals(List.of("fails", "fails", "fails", "probes and fails"), scorer.messages());
            scorer.behaviour = StubScorer::score;
            Thread.sleep(1050);
            rig.submit("one", "probes and is scored");
            rig.all();
            rig.submit("one", "goes on");
            assertEquals(List.of("scored", "scored"), rig.all().stream().skip(6).map(c -> Rig.reason(c.outcome())).toList());
            assertEquals(2, rig.journal.size()); // one word when it opened, one when it closed
            assertFalse(rig.journal.get(0).contains("secret"));
        }
    }

    @Test
    void a_hang_holds_a_large_bulk_no_longer_than_its_wait() throws Exception {
        scorer.behaviour = StubScorer.slowly(10_000);
        try (Rig rig = new Rig(Rig.timeout(Rig.config(scorer.url()), Duration.ofSeconds(2)))) {
            for (int i = 0; i < 20_000; i++) {
                rig.submit("host-" + i % 50, "m", Duration.ofMillis(700));
            }
            assertTrue(rig.all().stream().allMatch(completion -> completion.afterMillis() < 2000));
            assertEquals(20_000, rig.all().size());
        }
    }
}
