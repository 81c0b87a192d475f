package io.logmeta.elasticsearch.server;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Trust in the scorer's certificate authority. */
final class Tls {
    private Tls() {}

    /**
     * @param file PEM certificates, below {@code configDirectory}; empty for the JDK's own list
     * @return null for the JDK's own list
     */
    static SSLContext trusting(String file, Path configDirectory) {
        if (file.isEmpty()) {
            return null;
        }
        Path path = configDirectory.resolve(file).normalize();
        if (!path.startsWith(configDirectory.normalize())) {
            throw new IllegalArgumentException("[logmeta.scorer.ca] is [" + file + "], needed a file below the config directory");
        }
        try (InputStream pem = Files.newInputStream(path)) {
            return context(trustStore(pem));
        } catch (IOException | GeneralSecurityException e) {
            throw new IllegalArgumentException("[logmeta.scorer.ca] cannot be read from [" + path + "], needed PEM certificates", e);
        }
    }

    private static KeyStore trustStore(InputStream pem) throws IOException, GeneralSecurityException {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        for (Certificate certificate : CertificateFactory.getInstance("X.509").generateCertificates(pem)) {
            store.setCertificateEntry("ca-" + store.size(), certificate);
        }
        if (store.size() == 0) {
            throw new GeneralSecurityException("no certificate in the file");
        }
        return store;
    }

    private static SSLContext context(KeyStore trusted) throws GeneralSecurityException {
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }
}
