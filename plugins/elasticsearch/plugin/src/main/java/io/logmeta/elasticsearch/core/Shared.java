package io.logmeta.elasticsearch.core;

import java.util.concurrent.Executor;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/** What all lanes of a node share. */
record Shared(Supplier<Config> config, Executor executor, Timer timer, LongSupplier nanoTime, Stats stats) {}
