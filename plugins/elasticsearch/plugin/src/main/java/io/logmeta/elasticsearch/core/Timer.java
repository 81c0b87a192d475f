package io.logmeta.elasticsearch.core;

import java.time.Duration;

/** Runs tasks later, on the executor that also runs the completions. */
public interface Timer {
    /** Returns a handle that calls the task off. */
    Runnable after(Duration delay, Runnable task);
}
