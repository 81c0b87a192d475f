package io.logmeta.elasticsearch.testsupport;

import io.logmeta.elasticsearch.compat.Factories;
import io.logmeta.elasticsearch.compat.RestPlugin;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.ClusterName;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.ingest.AbstractProcessor;
import org.elasticsearch.ingest.ConfigurationUtils;
import org.elasticsearch.ingest.IngestDocument;
import org.elasticsearch.ingest.Processor;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.IngestPlugin;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.XContentBuilder;

/** What tests need and the minimal distribution lacks: {@code GET /}, {@code HEAD /} and a {@code set} processor. */
public final class TestSupportPlugin extends RestPlugin implements IngestPlugin {
    private final Settings settings;

    public TestSupportPlugin(Settings settings) {
        this.settings = settings;
    }

    @Override
    public Map<String, Processor.Factory> getProcessors(Processor.Parameters parameters) {
        return Map.of("set", Factories.of((tag, description, config) -> new SetProcessor(
            tag,
            description,
            ConfigurationUtils.readStringProperty("set", tag, config, "field"),
            ConfigurationUtils.readObject("set", tag, config, "value")
        )));
    }

    @Override
    protected List<RestHandler> restHandlers() {
        return List.of(new MainHandler(settings));
    }

    private static final class SetProcessor extends AbstractProcessor {
        private final String field;
        private final Object value;

        SetProcessor(String tag, String description, String field, Object value) {
            super(tag, description);
            this.field = field;
            this.value = value;
        }

        @Override
        public IngestDocument execute(IngestDocument document) {
            document.setFieldValue(field, IngestDocument.deepCopy(value));
            return document;
        }

        @Override
        public void execute(IngestDocument document, BiConsumer<IngestDocument, Exception> handler) {
            handler.accept(execute(document), null);
        }

        @Override
        public String getType() {
            return "set";
        }
    }

    /** Enough for a client's {@code info()}. */
    private static final class MainHandler extends BaseRestHandler {
        private final Settings settings;

        MainHandler(Settings settings) {
            this.settings = settings;
        }

        @Override
        public String getName() {
            return "logmeta_testsupport_main";
        }

        @Override
        public List<Route> routes() {
            return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
        }

        @Override
        protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
            return channel -> channel.sendResponse(new RestResponse(RestStatus.OK, body(channel.newBuilder())));
        }

        private XContentBuilder body(XContentBuilder json) throws IOException {
            json.startObject().field("name", Node.NODE_NAME_SETTING.get(settings));
            json.field("cluster_name", ClusterName.CLUSTER_NAME_SETTING.get(settings).value());
            json.startObject("version").field("number", Build.current().version()).field("build_flavor", "default").endObject();
            return json.field("tagline", "You Know, for Search").endObject();
        }
    }
}
