package io.logmeta.elasticsearch.core;

import java.net.URI;
import java.util.stream.IntStream;

/** One scorer: its address, its breaker and its lanes. */
final class Endpoint {
    final URI url;
    final Breaker breaker;
    private final long hash;
    private final Lane[] lanes;

    Endpoint(URI url, Scorer scorer, Breaker breaker, Shared shared) {
        this.url = url;
        this.breaker = breaker;
        this.hash = Text.hash(url.toString());
        this.lanes = IntStream.range(0, shared.config().get().lanes()).mapToObj(i -> new Lane(scorer, breaker, shared)).toArray(Lane[]::new);
    }

    Lane lane(long key) {
        return lanes[(int) Long.remainderUnsigned(key, lanes.length)];
    }

    int lanes() {
        return lanes.length;
    }

    /** Rendezvous weight (Thaler, Ravishankar 1998): a scorer that comes or goes moves only its own streams. */
    long weight(long key) {
        return Text.mix(key ^ hash);
    }

    void close() {
        for (Lane lane : lanes) {
            lane.close();
        }
    }
}
