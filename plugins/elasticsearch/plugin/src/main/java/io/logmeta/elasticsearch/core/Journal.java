package io.logmeta.elasticsearch.core;

/** Where the operator reads what happened. */
public interface Journal {
    void info(String message);

    void warn(String message, Throwable cause);
}
