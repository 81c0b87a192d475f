package io.logmeta.elasticsearch.server;

import io.logmeta.elasticsearch.core.Dispatcher;
import io.logmeta.elasticsearch.core.Outcome;
import io.logmeta.elasticsearch.core.Reason;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Supplier;
import org.elasticsearch.common.util.concurrent.EsRejectedExecutionException;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.common.util.concurrent.ThreadContext.StoredContext;
import org.elasticsearch.ingest.AbstractProcessor;
import org.elasticsearch.ingest.IngestDocument;

/** Scores a document's log line on its way into the index. */
final class LogmetaProcessor extends AbstractProcessor {
    static final String TYPE = "logmeta";

    private final Options options;
    private final LineReader reader;
    private final Annotator annotator;
    private final Dispatcher dispatcher;
    private final ThreadContext threadContext;

    LogmetaProcessor(String tag, String description, Options options, Dispatcher dispatcher, ThreadContext threadContext) {
        super(tag, description);
        this.options = options;
        this.reader = new LineReader(options);
        this.annotator = new Annotator(options);
        this.dispatcher = dispatcher;
        this.threadContext = threadContext;
    }

    @Override
    public void execute(IngestDocument document, BiConsumer<IngestDocument, Exception> handler) {
        String message = reader.message(document);
        if (message == null && options.ignoreMissing() || reader.isLabelled(document)) {
            dispatcher.stats().document("unchanged", null);
            handler.accept(document, null);
            return;
        }
        String source = reader.source(document);
        if (message == null || source == null) {
            finish(document, Outcome.skipped(Reason.MISSING_FIELD), handler);
            return;
        }
        // The completion comes on a thread of another request or of none. Without its own context the document would be indexed
        // with that one's rights: a user could write where he may not.
        Supplier<StoredContext> context = threadContext.newRestorableContext(true);
        dispatcher.submit(reader.line(document, source, message), options.maxWait(), outcome -> {
            try (StoredContext restored = context.get()) {
                finish(document, outcome, handler);
            }
        });
    }

    private void finish(IngestDocument document, Outcome outcome, BiConsumer<IngestDocument, Exception> handler) {
        Exception failure = null;
        try {
            failure = apply(document, outcome);
        } catch (IllegalArgumentException e) { // the target field is taken by something that is not an object
            dispatcher.stats().document("not_annotated", null);
            failure = options.failWhenUnavailable() ? e : null;
        }
        handler.accept(failure == null ? document : null, failure);
    }

    /** Annotates, or returns why the document must not be indexed. */
    private Exception apply(IngestDocument document, Outcome outcome) {
        if (outcome instanceof Outcome.Skipped skipped) {
            return skip(document, skipped);
        }
        Map<String, Object> fields = ((Outcome.Answered) outcome).fields();
        annotator.answered(document, fields);
        dispatcher.stats().document((String) fields.get("status"), (String) fields.get("reason"));
        return null;
    }

    private Exception skip(IngestDocument document, Outcome.Skipped skipped) {
        String reason = skipped.reason().word();
        if (options.failWhenUnavailable()) {
            dispatcher.stats().document("failed", reason);
            return refusal(skipped);
        }
        annotator.skipped(document, reason);
        dispatcher.stats().document("skipped", reason);
        return null;
    }

    /** 429 asks the shipper to send it again; what would fail for ever is a 400. */
    private static Exception refusal(Outcome.Skipped skipped) {
        Reason reason = skipped.reason();
        String message = "logmeta could not score the document: " + reason.word() + (skipped.detail() == null ? "" : ", " + skipped.detail());
        return reason.passes()
            ? new EsRejectedExecutionException(message + "; send it again, or set on_unavailable to skip", false)
            : new IllegalArgumentException(message + "; correct the document, or set on_unavailable to skip");
    }

    @Override
    public IngestDocument execute(IngestDocument document) {
        throw new UnsupportedOperationException("logmeta is asynchronous; call execute with a handler");
    }

    @Override
    public boolean isAsync() {
        return true;
    }

    @Override
    public String getType() {
        return TYPE;
    }
}
