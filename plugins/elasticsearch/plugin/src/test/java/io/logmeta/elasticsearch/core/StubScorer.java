package io.logmeta.elasticsearch.core;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.XContentParserConfiguration;
import org.elasticsearch.xcontent.XContentType;

/** A real HTTP server on loopback that scores every line, or misbehaves as told. */
final class StubScorer implements AutoCloseable {
    /** One answer: status, body, and headers in pairs. */
    interface Behaviour {
        void answer(StubScorer stub, HttpExchange exchange, List<Map<String, Object>> documents) throws Exception;
    }

    final List<List<Map<String, Object>>> batches = new CopyOnWriteArrayList<>();
    final List<String> tokens = new CopyOnWriteArrayList<>();
    final List<String> upgrades = new CopyOnWriteArrayList<>();
    final AtomicInteger mostAtOnce = new AtomicInteger();
    volatile Behaviour behaviour = StubScorer::score;
    /** Requests that came and whose answer has not begun: a client may send its next one before the handler returns. */
    private final Set<HttpExchange> unanswered = ConcurrentHashMap.newKeySet();
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final HttpServer server;

    StubScorer() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/v1/score", this::handle);
        server.setExecutor(threads);
        server.start();
    }

    URI url() {
        return URI.create("http://127.0.0.1:" + server.getAddress().getPort());
    }

    List<String> messages() {
        return batches.stream().flatMap(List::stream).map(document -> (String) document.get("message")).toList();
    }

    @SuppressWarnings("unchecked")
    private void handle(HttpExchange exchange) throws IOException {
        unanswered.add(exchange);
        mostAtOnce.accumulateAndGet(unanswered.size(), Math::max);
        try (exchange; XContentParser json = XContentType.JSON.xContent()
            .createParser(XContentParserConfiguration.EMPTY, exchange.getRequestBody().readAllBytes())) {
            List<Map<String, Object>> documents = (List<Map<String, Object>>) json.map().get("documents");
            batches.add(documents);
            tokens.add(String.valueOf(exchange.getRequestHeaders().getFirst("Authorization")));
            upgrades.add(String.valueOf(exchange.getRequestHeaders().getFirst("Upgrade")));
            behaviour.answer(this, exchange, documents);
        } catch (Exception e) {
            throw new IOException(e);
        } finally {
            unanswered.remove(exchange);
        }
    }

    void score(HttpExchange exchange, List<Map<String, Object>> documents) throws IOException {
        String results = documents.stream()
            .map(document -> "{\"status\":\"scored\",\"score\":0.5,\"template\":{\"text\":\"" + document.get("message") + "\"}}")
            .collect(Collectors.joining(","));
        unanswered.remove(exchange);
        reply(exchange, 200, "{\"results\":[" + results + "]}");
    }

    static Behaviour replying(int status, String body, String... headers) {
        return (stub, exchange, documents) -> {
            for (int i = 0; i < headers.length; i += 2) {
                exchange.getResponseHeaders().add(headers[i], headers[i + 1]);
            }
            reply(exchange, status, body);
        };
    }

    static Behaviour slowly(long millis) {
        return (stub, exchange, documents) -> {
            Thread.sleep(millis);
            stub.score(exchange, documents);
        };
    }

    /** Headers at once, the body never. */
    static Behaviour halfAnAnswer() {
        return (stub, exchange, documents) -> {
            exchange.sendResponseHeaders(200, 1000);
            exchange.getResponseBody().write('{');
            exchange.getResponseBody().flush();
            Thread.sleep(10_000);
        };
    }

    static void reply(HttpExchange exchange, int status, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }
}
