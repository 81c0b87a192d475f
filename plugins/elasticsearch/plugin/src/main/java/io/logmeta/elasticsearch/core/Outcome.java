package io.logmeta.elasticsearch.core;

import java.util.Map;

/** What became of a line: the scorer's answer, or why there is none. */
public sealed interface Outcome {

    /**
     * The scorer answered.
     *
     * @param fields what goes below the target field, nested; always holds {@code status}; whoever takes the outcome may change it
     */
    record Answered(Map<String, Object> fields) implements Outcome {}

    /**
     * The line goes unscored.
     *
     * @param detail a sentence for the operator, or null when the reason says it all
     */
    record Skipped(Reason reason, String detail) implements Outcome {}

    static Outcome skipped(Reason reason) {
        return new Skipped(reason, null);
    }
}
