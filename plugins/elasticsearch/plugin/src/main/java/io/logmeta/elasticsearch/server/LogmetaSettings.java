package io.logmeta.elasticsearch.server;

import static org.elasticsearch.common.settings.Setting.Property.Dynamic;
import static org.elasticsearch.common.settings.Setting.Property.NodeScope;

import io.logmeta.elasticsearch.core.Config;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import org.elasticsearch.common.settings.SecureSetting;
import org.elasticsearch.common.settings.SecureString;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.unit.ByteSizeValue;
import org.elasticsearch.core.TimeValue;

/** The node's settings. All but the CA file change while the node runs. */
final class LogmetaSettings {
    static final Setting<List<URI>> URLS = Setting.listSetting(
        "logmeta.scorer.urls", List.of("http://127.0.0.1:9750"), LogmetaSettings::url, LogmetaSettings::needsOne, NodeScope, Dynamic);
    static final Setting<String> CA = Setting.simpleString("logmeta.scorer.ca", NodeScope);
    static final Setting<SecureString> TOKEN = SecureSetting.secureString("logmeta.auth.token", null);
    static final Setting<TimeValue> REQUEST_TIMEOUT = time("logmeta.request.timeout", 2000, 1);
    static final Setting<Integer> BATCH_SIZE = Setting.intSetting("logmeta.batch.size", 256, 1, 4096, NodeScope, Dynamic);
    static final Setting<TimeValue> BATCH_LINGER = time("logmeta.batch.linger", 2, 0);
    static final Setting<Integer> LANES = Setting.intSetting("logmeta.lanes", 4, 1, 64, NodeScope, Dynamic);
    static final Setting<Integer> QUEUE_DOCUMENTS = Setting.intSetting("logmeta.queue.documents", 30_000, 1, NodeScope, Dynamic);
    static final Setting<ByteSizeValue> QUEUE_BYTES =
        Setting.memorySizeSetting("logmeta.queue.bytes", ByteSizeValue.ofMb(64), NodeScope, Dynamic);
    static final Setting<Integer> BREAKER_FAILURES = Setting.intSetting("logmeta.breaker.failures", 3, 1, NodeScope, Dynamic);
    static final Setting<TimeValue> BREAKER_OPEN = time("logmeta.breaker.open", 5000, 1);

    static final List<Setting<?>> DYNAMIC = List.of(URLS, REQUEST_TIMEOUT, BATCH_SIZE, BATCH_LINGER, LANES, QUEUE_DOCUMENTS, QUEUE_BYTES,
        BREAKER_FAILURES, BREAKER_OPEN);

    private LogmetaSettings() {}

    static Config config(Settings settings) {
        return new Config(
            URLS.get(settings),
            BATCH_SIZE.get(settings),
            duration(BATCH_LINGER.get(settings)),
            LANES.get(settings),
            QUEUE_DOCUMENTS.get(settings),
            QUEUE_BYTES.get(settings).getBytes(),
            BREAKER_FAILURES.get(settings),
            duration(BREAKER_OPEN.get(settings)),
            duration(REQUEST_TIMEOUT.get(settings))
        );
    }

    /** The token, or null when the keystore has none. */
    static String token(Settings settings) {
        try (SecureString token = TOKEN.get(settings)) {
            return token.isEmpty() ? null : token.toString();
        }
    }

    private static Setting<TimeValue> time(String name, long millis, long leastMillis) {
        return Setting.timeSetting(name, TimeValue.timeValueMillis(millis), TimeValue.timeValueMillis(leastMillis), NodeScope, Dynamic);
    }

    private static Duration duration(TimeValue value) {
        return Duration.ofMillis(value.millis());
    }

    private static URI url(String text) {
        URI url;
        try {
            url = URI.create(text.strip());
        } catch (IllegalArgumentException e) {
            throw notAUrl(text);
        }
        boolean http = "http".equals(url.getScheme()) || "https".equals(url.getScheme());
        if (!http || url.getHost() == null || url.getUserInfo() != null || url.getQuery() != null) {
            throw notAUrl(text);
        }
        return url;
    }

    private static IllegalArgumentException notAUrl(String text) {
        return new IllegalArgumentException("[logmeta.scorer.urls] holds [" + text
            + "], needed http or https with a host, such as [http://127.0.0.1:9750]; the token belongs into the keystore");
    }

    private static void needsOne(List<URI> urls) {
        if (urls.isEmpty()) {
            throw new IllegalArgumentException("[logmeta.scorer.urls] is empty, needed one URL or more; set it to null for the default");
        }
    }
}
