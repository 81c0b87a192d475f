package io.logmeta.elasticsearch.core;

import java.net.URI;
import java.net.http.HttpClient;
import java.time.Duration;
import java.util.concurrent.Executor;
import java.util.function.Supplier;
import javax.net.ssl.SSLContext;

/** Scorers over HTTP that share one client, token and codec. */
public final class HttpScorers {
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(1);

    private final HttpClient client;
    private final Codec codec;
    private final Supplier<String> token;

    /**
     * @param tls whom to trust, or null for the JDK's own list
     * @param token the bearer token of this moment, or null
     */
    public HttpScorers(SSLContext tls, Codec codec, Supplier<String> token) {
        this.client = client(tls);
        this.codec = codec;
        this.token = token;
    }

    HttpScorer at(URI url, Supplier<Duration> timeout, Executor executor, Timer timer) {
        return new HttpScorer(this, url, timeout, executor, timer);
    }

    private static HttpClient client(SSLContext tls) {
        HttpClient.Builder builder = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1) // the default asks plain servers for an upgrade to h2c, which some dislike
            .followRedirects(HttpClient.Redirect.NEVER) // a redirect would carry the token elsewhere
            .proxy(HttpClient.Builder.NO_PROXY)
            .connectTimeout(CONNECT_TIMEOUT);
        return tls == null ? builder.build() : builder.sslContext(tls).build();
    }

    HttpClient client() {
        return client;
    }

    Codec codec() {
        return codec;
    }

    String token() {
        return token.get();
    }
}
