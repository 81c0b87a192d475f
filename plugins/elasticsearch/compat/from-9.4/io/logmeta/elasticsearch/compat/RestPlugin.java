package io.logmeta.elasticsearch.compat;

import java.util.Collection;
import java.util.List;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.RestHandler;

/** A plugin with REST handlers that need nothing of the node: from 9.4 on they are asked for with three arguments. */
public abstract class RestPlugin extends Plugin implements ActionPlugin {
    protected abstract List<RestHandler> restHandlers();

    @Override
    public final Collection<RestHandler> getRestHandlers(
        RestHandlersServices services, Supplier<DiscoveryNodes> nodes, Predicate<NodeFeature> features) {
        return restHandlers();
    }
}
