package io.logmeta.elasticsearch.server;

import io.logmeta.elasticsearch.compat.RestPlugin;
import java.util.Collection;
import java.util.List;
import org.elasticsearch.action.ActionRequest;
import org.elasticsearch.action.ActionResponse;

/** A plugin with the action {@link StatsAction}; before 9.1 its handler has type arguments. */
abstract class StatsPlugin extends RestPlugin {
    @Override
    public final Collection<ActionHandler<? extends ActionRequest, ? extends ActionResponse>> getActions() {
        return List.of(new ActionHandler<>(StatsAction.TYPE, StatsAction.class));
    }
}
