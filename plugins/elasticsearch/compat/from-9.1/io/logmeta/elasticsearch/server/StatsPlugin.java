package io.logmeta.elasticsearch.server;

import io.logmeta.elasticsearch.compat.RestPlugin;
import java.util.Collection;
import java.util.List;

/** A plugin with the action {@link StatsAction}; from 9.1 on its handler has no type arguments. */
abstract class StatsPlugin extends RestPlugin {
    @Override
    public final Collection<ActionHandler> getActions() {
        return List.of(new ActionHandler(StatsAction.TYPE, StatsAction.class));
    }
}
