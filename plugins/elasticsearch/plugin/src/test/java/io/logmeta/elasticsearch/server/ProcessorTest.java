package io.logmeta.elasticsearch.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import io.logmeta.elasticsearch.core.Dispatcher;
import io.logmeta.elasticsearch.core.HttpScorers;
import io.logmeta.elasticsearch.core.Journal;
import io.logmeta.elasticsearch.core.Timer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.concurrent.EsRejectedExecutionException;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.index.VersionType;
import org.elasticsearch.ingest.IngestDocument;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ProcessorTest {
    private static final String SCORED = """
        {"status":"scored","score":0.97,"raw_score":12.5,"p_value":0.004,"alarm":true,"alarm_id":"a1","severity":"critical","provisional":false,
         "source":"payments","stream":"web-1","template":{"id":"t9","text":"user <*>","new":true},"typical":["login ok"],
         "explanation":{"kind":"new_template","text":"never seen","contributions":{"novelty":0.8}},
         "model":{"base":"b1","detector":"d1","version":3,"shots":120},"took_ms":1.5,"unknown":{"x":1}}""";

    private final ThreadContext context = new ThreadContext(Settings.EMPTY);
    private final ExecutorService pool = Executors.newFixedThreadPool(2);
    private final ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor();
    private volatile int status = 200;
    private volatile String result = SCORED;
    private volatile String asked;
    private HttpServer server;
    private Dispatcher dispatcher;

    @BeforeEach
    void start() throws Exception {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/v1/score", exchange -> {
            asked = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
            byte[] answer = ("{\"results\":[" + result + "]}").getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(status, answer.length);
            exchange.getResponseBody().write(answer);
            exchange.close();
        });
        server.start();
        Settings settings = Settings.builder().put("logmeta.scorer.urls", "http://127.0.0.1:" + server.getAddress().getPort()).build();
        Timer timer = (delay, task) -> {
            ScheduledFuture<?> scheduled = clock.schedule(() -> pool.execute(task), delay.toMillis(), TimeUnit.MILLISECONDS);
            return () -> scheduled.cancel(false);
        };
        dispatcher = new Dispatcher(
            LogmetaSettings.config(settings), new HttpScorers(null, new JsonCodec(), () -> null), pool, timer, new Silent());
    }

    @AfterEach
    void stop() {
        server.stop(0);
        clock.shutdownNow();
        pool.shutdownNow();
    }

    @Test
    void a_scored_document_carries_every_field_of_the_answer() throws Exception {
        IngestDocument document = run(Map.of(), source("message", "user 7 failed"));
        assertEquals(0.97, document.getFieldValue("logmeta.score", Double.class));
        assertEquals("t9", document.getFieldValue("logmeta.template.id", String.class));
        assertEquals(true, document.getFieldValue("logmeta.template.new", Boolean.class));
        assertEquals("3", document.getFieldValue("logmeta.model.version", String.class));
        assertEquals(120, document.getFieldValue("logmeta.model.shots", Integer.class));
        assertEquals(List.of("login ok"), document.getFieldValue("logmeta.typical", List.class));
        assertEquals(Map.of("novelty", 0.8), document.getFieldValue("logmeta.explanation.contributions", Map.class));
        assertTrue(document.hasField("logmeta.scored_at"));
        assertTrue(!document.hasField("logmeta.unknown"));
        assertEquals(97.0, document.getFieldValue("event.risk_score", Double.class), 1e-9);
        assertEquals(97.0, document.getFieldValue("event.risk_score_norm", Double.class), 1e-9);
        assertEquals(List.of("logmeta-alarm"), document.getFieldValue("tags", List.class));
    }

    @Test
    void the_request_names_source_stream_timestamp_and_message() throws Exception {
        Map<String, Object> source = source("message", "hello");
        source.put("@timestamp", "2026-01-02T03:04:05Z");
        source.put("host", new HashMap<>(Map.of("name", "web-1")));
        source.put("service.name", "pay"); // a dotted key, as ECS loggers write it
        source.put("data_stream", new HashMap<>(Map.of("dataset", "payments")));
        run(Map.of("detector_version", "5"), source, "anything");
        assertEquals("{\"documents\":[{\"source\":\"payments\",\"stream\":\"web-1/pay\",\"timestamp\":\"2026-01-02T03:04:05Z\","
            + "\"message\":\"hello\",\"detector_version\":\"5\"}],\"explain\":\"alarms\"}", asked);
    }

    @Test
    void the_first_field_that_is_there_is_the_line() throws Exception {
        Map<String, Object> source = source("event", new HashMap<>(Map.of("original", "from event.original")));
        source.put("body", new HashMap<>(Map.of("text", "from body.text")));
        run(Map.of("field", List.of("message", "event.original", "body.text")), source);
        assertTrue(asked.contains("from event.original"));
    }

    @Test
    void what_stands_in_ecs_already_stays() throws Exception {
        Map<String, Object> source = source("message", "m");
        source.put("event", new HashMap<>(Map.of("risk_score", 5)));
        source.put("event.risk_score_norm", 6);
        source.put("tags", new ArrayList<>(List.of("web")));
        IngestDocument document = run(Map.of(), source);
        assertEquals(Map.of("risk_score", 5), document.getSource().get("event"));
        assertEquals(List.of("web", "logmeta-alarm"), document.getSource().get("tags"));
    }

    @Test
    void an_event_that_is_no_object_is_left_alone() throws Exception {
        Map<String, Object> source = source("message", "m");
        source.put("event", "click");
        assertEquals("click", run(Map.of(), source).getSource().get("event"));
    }

    @Test
    void without_ecs_nothing_is_written_beside_the_target() throws Exception {
        IngestDocument document = run(Map.of("ecs", false), source("message", "m"));
        assertEquals(java.util.Set.of("message", "logmeta"), document.getSource().keySet());
    }

    @Test
    void an_explanation_is_kept_only_where_it_was_asked_for() throws Exception {
        assertTrue(!run(Map.of("explain", "none"), source("message", "m")).hasField("logmeta.explanation"));
        result = SCORED.replace("\"alarm\":true", "\"alarm\":false");
        assertTrue(!run(Map.of("explain", "alarms"), source("message", "m")).hasField("logmeta.explanation"));
        assertTrue(run(Map.of("explain", "all"), source("message", "m")).hasField("logmeta.explanation"));
    }

    @Test
    void a_document_without_the_field_passes_unchanged_or_says_so() throws Exception {
        assertEquals(Map.of("other", 1), run(Map.of(), source("other", 1)).getSource());
        IngestDocument told = run(Map.of("ignore_missing", false), source("other", 1));
        assertEquals(Map.of("status", "skipped", "reason", "missing_field"), told.getSource().get("logmeta"));
        assertNull(asked);
    }

    @Test
    void without_a_source_the_data_stream_names_it_and_else_the_document_says_so() throws Exception {
        run(Map.of("source", "billing"), source("message", "m"), "w-1");
        assertTrue(asked.contains("\"source\":\"billing\""));
        run(Map.of(), source("message", "m"), "logs-nginx.access-prod-eu");
        assertTrue(asked.contains("\"source\":\"nginx.access\""));
        IngestDocument told = run(Map.of(), source("message", "m"), "w-1");
        assertEquals("missing_field", told.getFieldValue("logmeta.reason", String.class));
    }

    @Test
    void an_unavailable_scorer_leaves_a_visible_mark() throws Exception {
        status = 500;
        IngestDocument document = run(Map.of(), source("message", "m"));
        assertEquals(Map.of("status", "skipped", "reason", "unavailable"), document.getSource().get("logmeta"));
        assertTrue(!document.hasField("event"));
    }

    @Test
    void fail_closed_answers_429_for_what_may_pass_and_400_for_what_never_will() {
        status = 500;
        assertInstanceOf(EsRejectedExecutionException.class, failure(Map.of("on_unavailable", "fail"), source("message", "m")));
        assertInstanceOf(IllegalArgumentException.class,
            failure(Map.of("on_unavailable", "fail"), source("message", "x".repeat(1 << 20))));
        assertInstanceOf(IllegalArgumentException.class,
            failure(Map.of("on_unavailable", "fail", "ignore_missing", false), source("other", 1)));
    }

    @Test
    void old_fields_of_ours_do_not_mix_with_new_ones_and_foreign_ones_stay() throws Exception {
        status = 500;
        Map<String, Object> source = source("message", "m");
        source.put("logmeta", new HashMap<>(Map.of("alarm", true, "score", 0.9, "note", "mine")));
        assertEquals(Map.of("status", "skipped", "reason", "unavailable", "note", "mine"), run(Map.of(), source).getSource().get("logmeta"));
    }

    @Test
    void forged_fields_of_any_type_go() throws Exception {
        result = "{\"status\":\"skipped\",\"reason\":\"why\"}";
        Map<String, Object> expected = Map.of("message", "m", "logmeta", Map.of("status", "skipped", "reason", "why"));
        for (Object forged : List.of("text", 5, true, List.of(Map.of("score", 1)), new HashMap<>(Map.of("template", "text", "model", 5)),
            new HashMap<>(Map.of("template.id", Map.of("deep", 1), "score", List.of("x"))))) {
            assertEquals(expected, run(Map.of(), source("message", "m", "logmeta", forged)).getSource());
        }
        assertEquals(expected, run(Map.of(), source("message", "m", "logmeta", null)).getSource());
        assertEquals(expected, run(Map.of(), source("message", "m", "logmeta.score", "high", "logmeta.model", Map.of("shots", "x"))).getSource());
    }

    @Test
    void a_target_of_other_name_that_is_taken_by_a_text_is_left_alone() throws Exception {
        assertEquals("taken", run(Map.of("target_field", "verdict"), source("message", "m", "verdict", "taken")).getSource().get("verdict"));
    }

    @Test
    void the_handler_runs_in_the_context_of_its_own_request() throws Exception {
        List<CompletableFuture<String>> seen = new ArrayList<>();
        for (String user : List.of("alice", "bob", "eve")) {
            CompletableFuture<String> header = new CompletableFuture<>();
            seen.add(header);
            try (ThreadContext.StoredContext ignored = context.stashContext()) {
                context.putHeader("user", user);
                result = SCORED;
                processor(Map.of("stream_by", List.of("user.name"))).execute(
                    document(source("user.name", user, "message", "m"), "logs-a-b"),
                    (document, failure) -> header.complete(context.getHeader("user")));
            }
            assertEquals(user, header.get(5, TimeUnit.SECONDS));
        }
        assertNull(context.getHeader("user"));
        assertNull(pool.submit(() -> context.getHeader("user")).get()); // nothing stays behind on the pool
    }

    @Test
    void synchronous_execution_is_refused() {
        assertThrows(UnsupportedOperationException.class, () -> processor(Map.of()).execute(document(source("message", "m"), "i")));
    }

    private LogmetaProcessor processor(Map<String, Object> options) {
        return new LogmetaProcessor("tag", null, Options.read("tag", new HashMap<>(options)), dispatcher, context);
    }

    private IngestDocument run(Map<String, Object> options, Map<String, Object> source) throws Exception {
        return run(options, source, "logs-payments-default");
    }

    private IngestDocument run(Map<String, Object> options, Map<String, Object> source, String index) throws Exception {
        CompletableFuture<IngestDocument> done = new CompletableFuture<>();
        processor(options).execute(document(source, index), (document, failure) -> {
            if (failure == null) {
                done.complete(document);
            } else {
                done.completeExceptionally(failure);
            }
        });
        return done.get(5, TimeUnit.SECONDS);
    }

    private Throwable failure(Map<String, Object> options, Map<String, Object> source) {
        return assertThrows(ExecutionException.class, () -> run(options, source)).getCause();
    }

    private static IngestDocument document(Map<String, Object> source, String index) {
        return new IngestDocument(index, "1", 1, null, VersionType.INTERNAL, source);
    }

    private static Map<String, Object> source(Object... pairs) {
        Map<String, Object> source = new HashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            source.put((String) pairs[i], pairs[i + 1]);
        }
        return source;
    }

    private static final class Silent implements Journal {
        @Override
        public void info(String message) {}

        @Override
        public void warn(String message, Throwable cause) {}
    }
}
