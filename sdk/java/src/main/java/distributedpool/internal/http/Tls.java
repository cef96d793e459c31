package distributedpool.internal.http;

import distributedpool.PoolException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.function.UnaryOperator;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;

/** Certificates from PEM files, and the names that they have to carry. */
public final class Tls {
  private static final char[] NO_PASSWORD = new char[0];

  private Tls() {}

  /**
   * A context for connections.
   *
   * @param ca the authority to trust; null for the well-known ones
   * @param cert the client certificate; null for none
   * @param key its key in PKCS #8
   * @param nameOf gives the name that the certificate at a place has to carry, see {@link
   *     #placeOf}; it refuses a place with null. Without it, the host itself is the name.
   */
  public static SSLContext context(Path ca, Path cert, Path key, UnaryOperator<String> nameOf) {
    try {
      TrustManagerFactory factory =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      factory.init(ca == null ? null : authorities(ca));
      SSLContext context = SSLContext.getInstance("TLS");
      X509ExtendedTrustManager usual = (X509ExtendedTrustManager) factory.getTrustManagers()[0];
      KeyManagerFactory keys = cert == null ? null : keys(cert, key);
      TrustManager[] trusted = {nameOf == null ? usual : new Named(usual, nameOf)};
      context.init(keys == null ? null : keys.getKeyManagers(), trusted, null);
      return context;
    } catch (IOException | GeneralSecurityException error) {
      String detail = "expected certificates and keys in PEM; got " + error;
      throw PoolException.of("invalid_request", detail, null, error);
    }
  }

  /** The host and the port of a URL, with one spelling for each address of IPv6. */
  public static String placeOf(URI url) {
    return placeOf(url.getHost(), url.getPort());
  }

  private static String placeOf(String host, int port) {
    String bare = host.replaceAll("[\\[\\]]", "").toLowerCase(Locale.ROOT);
    try {
      // An address that is a literal is not looked up.
      String same = bare.contains(":") ? InetAddress.getByName(bare).getHostAddress() : bare;
      return same + " " + port;
    } catch (UnknownHostException malformed) {
      return bare + " " + port;
    }
  }

  private static Collection<? extends Certificate> certificates(Path file)
      throws IOException, GeneralSecurityException {
    try (InputStream pem = Files.newInputStream(file)) {
      return CertificateFactory.getInstance("X.509").generateCertificates(pem);
    }
  }

  private static KeyStore authorities(Path ca) throws IOException, GeneralSecurityException {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    int index = 0;
    for (Certificate each : certificates(ca)) store.setCertificateEntry("ca" + index++, each);
    return store;
  }

  private static KeyManagerFactory keys(Path cert, Path key)
      throws IOException, GeneralSecurityException {
    String base64 = Files.readString(key).replaceAll("-----[^-]*-----|\\s", "");
    byte[] bytes = Base64.getDecoder().decode(base64);
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    Certificate[] chain = certificates(cert).toArray(new Certificate[0]);
    store.setKeyEntry("client", privateKey(bytes), NO_PASSWORD, chain);
    KeyManagerFactory factory =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(store, NO_PASSWORD);
    return factory;
  }

  private static PrivateKey privateKey(byte[] bytes) throws GeneralSecurityException {
    for (String algorithm : List.of("EC", "RSA"))
      try {
        return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(bytes));
      } catch (InvalidKeySpecException other) {
        continue;
      }
    return KeyFactory.getInstance("Ed25519").generatePrivate(new PKCS8EncodedKeySpec(bytes));
  }

  /** Trusts an authority, and demands the name of the member instead of that of its host. */
  private static final class Named extends X509ExtendedTrustManager {
    private static final int DNS_NAME = 2;

    private final X509ExtendedTrustManager usual;
    private final UnaryOperator<String> nameOf;

    Named(X509ExtendedTrustManager usual, UnaryOperator<String> nameOf) {
      this.usual = usual;
      this.nameOf = nameOf;
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine)
        throws CertificateException {
      String place = placeOf(engine.getPeerHost(), engine.getPeerPort());
      String name = nameOf.apply(place);
      if (name == null) throw new CertificateException("no member is known at " + place);
      usual.checkServerTrusted(chain, type);
      Collection<List<?>> names = chain[0].getSubjectAlternativeNames();
      if (names != null)
        for (List<?> each : names)
          if (each.get(0).equals(DNS_NAME) && name.equalsIgnoreCase(String.valueOf(each.get(1))))
            return;
      throw new CertificateException("expected the name " + name + "; got " + names);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket)
        throws CertificateException {
      usual.checkServerTrusted(chain, type, socket);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type)
        throws CertificateException {
      usual.checkServerTrusted(chain, type);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket)
        throws CertificateException {
      usual.checkClientTrusted(chain, type, socket);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine)
        throws CertificateException {
      usual.checkClientTrusted(chain, type, engine);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type)
        throws CertificateException {
      usual.checkClientTrusted(chain, type);
    }

    @Override
    public X509Certificate[] getAcceptedIssuers() {
      return usual.getAcceptedIssuers();
    }
  }
}
