package io.logmeta.elasticsearch.core;

import java.util.Locale;

/** Which lines get an explanation, from least to most. */
public enum Explain {
    NONE,
    ALARMS,
    ALL;

    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }

    public Explain or(Explain other) {
        return compareTo(other) >= 0 ? this : other;
    }
}
