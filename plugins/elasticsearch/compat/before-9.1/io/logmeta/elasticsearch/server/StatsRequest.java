package io.logmeta.elasticsearch.server;

import java.io.IOException;
import org.elasticsearch.action.support.nodes.BaseNodesRequest;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.transport.TransportRequest;

/** Asks every node for its counts; before 9.1 with itself as a type argument. */
final class StatsRequest extends BaseNodesRequest<StatsRequest> {
    StatsRequest() {
        super(new String[0]); // all nodes
    }

    /** Its form on the way to one node. */
    static final class OfNode extends TransportRequest {
        OfNode() {}

        OfNode(StreamInput in) throws IOException {
            super(in);
        }
    }
}
