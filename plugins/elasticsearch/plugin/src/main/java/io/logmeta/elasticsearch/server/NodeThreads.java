package io.logmeta.elasticsearch.server;

import io.logmeta.elasticsearch.core.Timer;
import java.time.Duration;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.concurrent.EsExecutors;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.threadpool.ExecutorBuilder;
import org.elasticsearch.threadpool.ScalingExecutorBuilder;
import org.elasticsearch.threadpool.Scheduler;
import org.elasticsearch.threadpool.ThreadPool;

/** The pool requests are built and documents completed on; {@code GET _cat/thread_pool/logmeta} shows it. */
final class NodeThreads implements Executor, Timer {
    private static final String POOL = "logmeta";
    private static final Runnable NOTHING = () -> {};

    private final ThreadPool threadPool;

    NodeThreads(ThreadPool threadPool) {
        this.threadPool = threadPool;
    }

    /** Scaling, since a fixed pool may turn a completion away. Its work is bounded by the lanes. */
    static ExecutorBuilder<?> pool(Settings settings) {
        int most = Math.max(2, EsExecutors.allocatedProcessors(settings));
        return new ScalingExecutorBuilder(POOL, 1, most, TimeValue.timeValueSeconds(30), true);
    }

    @Override
    public void execute(Runnable task) {
        try {
            threadPool.executor(POOL).execute(task);
        } catch (RejectedExecutionException e) { // the node stops: what is left completes here
            task.run();
        }
    }

    @Override
    public Runnable after(Duration delay, Runnable task) {
        try {
            Scheduler.ScheduledCancellable scheduled =
                threadPool.schedule(task, TimeValue.timeValueMillis(delay.toMillis()), threadPool.executor(POOL));
            return scheduled::cancel;
        } catch (RejectedExecutionException e) { // the node stops, and the lanes are closed with it
            return NOTHING;
        }
    }
}
