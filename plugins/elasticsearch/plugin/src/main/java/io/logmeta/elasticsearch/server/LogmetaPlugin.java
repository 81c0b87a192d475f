package io.logmeta.elasticsearch.server;

import io.logmeta.elasticsearch.compat.Factories;
import io.logmeta.elasticsearch.core.Dispatcher;
import io.logmeta.elasticsearch.core.HttpScorers;
import io.logmeta.elasticsearch.core.Journal;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.ingest.Processor;
import org.elasticsearch.plugins.IngestPlugin;
import org.elasticsearch.plugins.ReloadablePlugin;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.threadpool.ExecutorBuilder;
import org.elasticsearch.threadpool.ThreadPool;

/** Wires the processor, the settings and {@code GET _logmeta/stats} into a node. */
public final class LogmetaPlugin extends StatsPlugin implements IngestPlugin, ReloadablePlugin {
    private static final Logger LOGGER = LogManager.getLogger(LogmetaPlugin.class);

    private volatile String token;
    private volatile Dispatcher dispatcher;

    public LogmetaPlugin(Settings settings) {
        token = LogmetaSettings.token(settings);
    }

    /** Called before {@link #createComponents}, so everything starts here. */
    @Override
    public Map<String, Processor.Factory> getProcessors(Processor.Parameters parameters) {
        Settings settings = parameters.env.settings();
        ThreadPool threadPool = parameters.client.threadPool();
        NodeThreads threads = new NodeThreads(threadPool);
        HttpScorers http = new HttpScorers(
            Tls.trusting(LogmetaSettings.CA.get(settings), parameters.env.configDir()), new JsonCodec(), () -> token);
        dispatcher = new Dispatcher(LogmetaSettings.config(settings), http, threads, threads, new NodeLog());
        parameters.ingestService.getClusterService().getClusterSettings().addSettingsUpdateConsumer(
            changed -> dispatcher.update(LogmetaSettings.config(changed)), LogmetaSettings.DYNAMIC);
        return Map.of(LogmetaProcessor.TYPE, Factories.of((tag, description, config) ->
            new LogmetaProcessor(tag, description, Options.read(tag, config), dispatcher, threadPool.getThreadContext())));
    }

    @Override
    public Collection<?> createComponents(PluginServices services) {
        return List.of(dispatcher);
    }

    @Override
    public List<Setting<?>> getSettings() {
        List<Setting<?>> settings = new ArrayList<>(LogmetaSettings.DYNAMIC);
        settings.add(LogmetaSettings.CA);
        settings.add(LogmetaSettings.TOKEN);
        return settings;
    }

    @Override
    public List<ExecutorBuilder<?>> getExecutorBuilders(Settings settings) {
        return List.of(NodeThreads.pool(settings));
    }

    @Override
    protected List<RestHandler> restHandlers() {
        return List.of(new StatsRestHandler());
    }

    /** {@code POST _nodes/reload_secure_settings} */
    @Override
    public void reload(Settings settings) {
        token = LogmetaSettings.token(settings);
    }

    @Override
    public void close() {
        if (dispatcher != null) {
            dispatcher.close();
        }
    }

    private static final class NodeLog implements Journal {
        @Override
        public void info(String message) {
            LOGGER.info(message);
        }

        @Override
        public void warn(String message, Throwable cause) {
            LOGGER.warn(message, cause);
        }
    }
}
