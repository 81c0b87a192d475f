package io.logmeta.elasticsearch.core;

import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Asks for the scores of lines. Fails with {@link ScoringFailure}, always within the request timeout. */
interface Scorer {
    CompletableFuture<List<Outcome>> score(List<Line> lines);
}
