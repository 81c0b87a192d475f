package io.logmeta.elasticsearch.server;

import io.logmeta.elasticsearch.core.Dispatcher;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.elasticsearch.action.ActionType;
import org.elasticsearch.action.FailedNodeException;
import org.elasticsearch.action.support.ActionFilters;
import org.elasticsearch.action.support.nodes.BaseNodeResponse;
import org.elasticsearch.action.support.nodes.BaseNodesResponse;
import org.elasticsearch.action.support.nodes.TransportNodesAction;
import org.elasticsearch.cluster.ClusterName;
import org.elasticsearch.cluster.node.DiscoveryNode;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.injection.guice.Inject;
import org.elasticsearch.tasks.Task;
import org.elasticsearch.threadpool.ThreadPool;
import org.elasticsearch.transport.TransportService;
import org.elasticsearch.xcontent.ToXContentFragment;
import org.elasticsearch.xcontent.XContentBuilder;

/** Every node's counts. An action of its own, so the privilege {@code monitor} guards it and each node answers. */
public final class StatsAction extends TransportNodesAction<StatsRequest, StatsAction.Response, StatsRequest.OfNode, StatsAction.NodeStats, Void> {
    static final ActionType<Response> TYPE = new ActionType<>("cluster:monitor/logmeta/stats");

    private final Dispatcher dispatcher;

    @Inject
    public StatsAction(ClusterService cluster, TransportService transport, ActionFilters filters, ThreadPool threads, Dispatcher dispatcher) {
        super(TYPE.name(), cluster, transport, filters, StatsRequest.OfNode::new, threads.executor(ThreadPool.Names.MANAGEMENT));
        this.dispatcher = dispatcher;
    }

    @Override
    protected Response newResponse(StatsRequest request, List<NodeStats> nodes, List<FailedNodeException> failures) {
        return new Response(clusterService.getClusterName(), nodes, failures);
    }

    @Override
    protected StatsRequest.OfNode newNodeRequest(StatsRequest request) {
        return new StatsRequest.OfNode();
    }

    @Override
    protected NodeStats newNodeResponse(StreamInput in, DiscoveryNode node) throws IOException {
        return new NodeStats(in, node);
    }

    @Override
    protected NodeStats nodeOperation(StatsRequest.OfNode request, Task task) {
        return new NodeStats(clusterService.localNode(), dispatcher.snapshot());
    }

    static final class NodeStats extends BaseNodeResponse {
        private final Map<String, Object> stats;

        NodeStats(DiscoveryNode node, Map<String, Object> stats) {
            super(node);
            this.stats = stats;
        }

        NodeStats(StreamInput in, DiscoveryNode node) throws IOException {
            super(in, node);
            this.stats = in.readGenericMap();
        }

        @Override
        public void writeTo(StreamOutput out) throws IOException {
            super.writeTo(out);
            out.writeGenericMap(stats);
        }
    }

    static final class Response extends BaseNodesResponse<NodeStats> implements ToXContentFragment {
        Response(ClusterName cluster, List<NodeStats> nodes, List<FailedNodeException> failures) {
            super(cluster, nodes, failures);
        }

        @Override
        protected List<NodeStats> readNodesFrom(StreamInput in) {
            throw new UnsupportedOperationException("the answer stays on the node that was asked");
        }

        @Override
        protected void writeNodesTo(StreamOutput out, List<NodeStats> nodes) {
            throw new UnsupportedOperationException("the answer stays on the node that was asked");
        }

        @Override
        public XContentBuilder toXContent(XContentBuilder json, Params params) throws IOException {
            json.startObject("nodes");
            for (NodeStats node : getNodes()) {
                json.startObject(node.getNode().getId()).field("name", node.getNode().getName());
                for (Map.Entry<String, Object> entry : node.stats.entrySet()) {
                    json.field(entry.getKey(), entry.getValue());
                }
                json.endObject();
            }
            return json.endObject();
        }
    }
}
