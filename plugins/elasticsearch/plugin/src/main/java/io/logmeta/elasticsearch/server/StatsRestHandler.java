package io.logmeta.elasticsearch.server;

import java.util.List;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.action.RestActions;

/** {@code GET _logmeta/stats} */
final class StatsRestHandler extends BaseRestHandler {
    @Override
    public String getName() {
        return "logmeta_stats";
    }

    @Override
    public List<Route> routes() {
        return List.of(new Route(RestRequest.Method.GET, "/_logmeta/stats"));
    }

    @Override
    protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
        return channel -> client.execute(StatsAction.TYPE, new StatsRequest(), new RestActions.NodesResponseRestListener<>(channel));
    }
}
