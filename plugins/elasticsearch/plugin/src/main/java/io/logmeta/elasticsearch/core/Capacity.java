package io.logmeta.elasticsearch.core;

/** How much may wait at once, in documents and in bytes. A document counts until it is completed. */
final class Capacity {
    private int documents;
    private long bytes;

    synchronized boolean tryAcquire(int size, Config limits) {
        if (documents >= limits.queueDocuments() || bytes + size > limits.queueBytes()) {
            return false;
        }
        documents++;
        bytes += size;
        return true;
    }

    synchronized void release(int size) {
        documents--;
        bytes -= size;
    }

    synchronized int documents() {
        return documents;
    }

    synchronized long bytes() {
        return bytes;
    }
}
