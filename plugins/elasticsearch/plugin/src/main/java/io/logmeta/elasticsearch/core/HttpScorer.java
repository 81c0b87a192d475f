package io.logmeta.elasticsearch.core;

import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.function.Supplier;
import javax.net.ssl.SSLException;

/** {@code POST {url}/v1/score}: one result per line, in order. */
final class HttpScorer implements Scorer {
    private static final int MAX_ANSWER_BYTES = 16 << 20;
    private static final int SHOWN_CHARACTERS = 200; // of an error's body

    private final HttpScorers scorers;
    private final URI url;
    private final Supplier<Duration> timeout;
    private final Executor executor;
    private final Timer timer;

    HttpScorer(HttpScorers scorers, URI url, Supplier<Duration> timeout, Executor executor, Timer timer) {
        this.scorers = scorers;
        this.url = URI.create(url.toString().replaceAll("/+$", "") + "/v1/score");
        this.timeout = timeout;
        this.executor = executor;
        this.timer = timer;
    }

    @Override
    public CompletableFuture<List<Outcome>> score(List<Line> lines) {
        HttpRequest request;
        try {
            request = request(scorers.codec().encode(lines));
        } catch (IOException e) {
            return CompletableFuture.failedFuture(e);
        }
        return send(request).handleAsync((response, failure) -> {
            try {
                return outcomes(response, failure, lines.size());
            } catch (ScoringFailure e) {
                throw new CompletionException(e);
            }
        }, executor);
    }

    private HttpRequest request(byte[] body) {
        HttpRequest.Builder builder = HttpRequest.newBuilder(url)
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .POST(BodyPublishers.ofByteArray(body));
        String token = scorers.token();
        return token == null ? builder.build() : builder.header("Authorization", "Bearer " + token).build();
    }

    /** A connection the scorer closed while it lay idle shows only when it is used, so a broken one is tried once more. */
    private CompletableFuture<HttpResponse<byte[]>> send(HttpRequest request) {
        CompletableFuture<HttpResponse<byte[]>> answer = new CompletableFuture<>();
        Runnable callOff = timer.after(timeout.get(), () -> answer.completeExceptionally(timedOut()));
        answer.whenComplete((response, failure) -> callOff.run());
        attempt(request, answer, true);
        return answer;
    }

    private void attempt(HttpRequest request, CompletableFuture<HttpResponse<byte[]>> answer, boolean again) {
        CompletableFuture<HttpResponse<byte[]>> exchange =
            scorers.client().sendAsync(request, info -> new LimitedBody(MAX_ANSWER_BYTES));
        // HttpRequest.timeout ends with the headers; ours covers the body, and calling the exchange off frees its connection.
        answer.whenComplete((response, failure) -> exchange.cancel(true));
        exchange.whenComplete((response, failure) -> {
            if (failure == null) {
                answer.complete(response);
            } else if (again && isBroken(unwrap(failure)) && !answer.isDone()) {
                executor.execute(() -> attemptAgain(request, answer));
            } else {
                answer.completeExceptionally(unwrap(failure));
            }
        });
    }

    private void attemptAgain(HttpRequest request, CompletableFuture<HttpResponse<byte[]>> answer) {
        try {
            attempt(request, answer, false);
        } catch (Throwable t) {
            answer.completeExceptionally(t);
        }
    }

    private List<Outcome> outcomes(HttpResponse<byte[]> response, Throwable failure, int lines) throws ScoringFailure {
        if (failure != null) {
            throw unreachable(unwrap(failure));
        }
        if (response.statusCode() == 200) {
            return scorers.codec().decode(response.body(), lines);
        }
        throw refused(response);
    }

    private ScoringFailure unreachable(Throwable failure) {
        if (failure instanceof ScoringFailure known) {
            return known;
        }
        if (failure.getCause() instanceof ScoringFailure known) { // the client wraps what the body reader throws
            return known;
        }
        return new ScoringFailure(Reason.UNAVAILABLE, "no answer from " + url + ": " + failure
            + "; start the scorer or correct logmeta.scorer.urls", failure);
    }

    private ScoringFailure timedOut() {
        return new ScoringFailure(Reason.DEADLINE, "no answer from " + url + " within logmeta.request.timeout of "
            + timeout.get().toMillis() + " ms");
    }

    private ScoringFailure refused(HttpResponse<byte[]> response) {
        String message = url + " answered " + response.statusCode() + ", needed 200: " + shown(response.body());
        return switch (response.statusCode()) {
            case 401, 403 -> new ScoringFailure(Reason.UNAUTHORIZED, message + "; set logmeta.auth.token in the keystore and reload");
            case 413 -> new ScoringFailure(Reason.TOO_LARGE, message + "; lower logmeta.batch.size");
            case 429, 503 -> new ScoringFailure(Reason.OVERLOADED, message, null, retryAfter(response));
            default -> new ScoringFailure(response.statusCode() >= 500 ? Reason.UNAVAILABLE : Reason.BAD_RESPONSE, message);
        };
    }

    /** Seconds only; the date form is not ours to expect from a scorer. */
    private static Duration retryAfter(HttpResponse<byte[]> response) {
        return response.headers().firstValue("Retry-After")
            .filter(seconds -> seconds.matches("\\d{1,6}(\\.\\d{1,3})?"))
            .map(seconds -> Duration.ofMillis(Math.max(10, Math.round(Double.parseDouble(seconds) * 1000))))
            .orElse(null);
    }

    private static String shown(byte[] body) {
        String text = new String(body, StandardCharsets.UTF_8).strip();
        return text.length() <= SHOWN_CHARACTERS ? text : text.substring(0, SHOWN_CHARACTERS) + "…";
    }

    private static boolean isBroken(Throwable failure) {
        return failure instanceof IOException && !(failure instanceof ConnectException) && !(failure instanceof HttpTimeoutException)
            && !(failure instanceof SSLException) && !(failure.getCause() instanceof ScoringFailure);
    }

    private static Throwable unwrap(Throwable failure) {
        return failure instanceof CompletionException && failure.getCause() != null ? failure.getCause() : failure;
    }
}
