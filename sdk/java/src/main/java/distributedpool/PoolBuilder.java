package distributedpool;

import distributedpool.internal.calls.Access;
import distributedpool.internal.consul.Names;
import distributedpool.internal.consul.Registry;
import distributedpool.internal.http.Http;
import distributedpool.internal.http.Tls;
import distributedpool.internal.placement.Direct;
import distributedpool.internal.placement.Gateway;
import java.io.OutputStream;
import java.net.URI;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import javax.net.ssl.SSLContext;

/** Options of a {@link DistributedPool}: the way to the pools, and who is calling. */
public final class PoolBuilder {
  private String url;
  private ConsulOptions consul;
  private String token;
  private Path ca;
  private Path cert;
  private Path key;
  private boolean insecure;
  private String memberDomain = "distributed-pool";
  OutputStream stdout = System.out;
  OutputStream stderr = System.err;
  Consumer<PoolEvent.Progress> onProgress = progress -> {};

  PoolBuilder() {}

  /**
   * Asks one member, the gateway, which places the child and forwards the stream.
   *
   * @param member its URL, such as {@code http://127.0.0.1:7400}
   * @return this builder
   */
  public PoolBuilder url(String member) {
    url = member;
    return this;
  }

  /**
   * Watches Consul and places from this process, which saves one hop.
   *
   * @param options how to reach the agent
   * @return this builder
   */
  public PoolBuilder consul(ConsulOptions options) {
    consul = options;
    return this;
  }

  /**
   * Says who is calling. Default: no token.
   *
   * @param bearer a token of the members' token file, or a JWT
   * @return this builder
   */
  public PoolBuilder token(String bearer) {
    token = bearer;
    return this;
  }

  /**
   * The authority to trust. Default: the well-known ones.
   *
   * @param pem a file
   * @return this builder
   */
  public PoolBuilder ca(Path pem) {
    ca = pem;
    return this;
  }

  /**
   * A client certificate, for members that demand one. Default: none.
   *
   * @param certificate a PEM file
   * @param privateKey a PEM file in PKCS #8
   * @return this builder
   */
  public PoolBuilder certificate(Path certificate, Path privateKey) {
    cert = certificate;
    key = privateKey;
    return this;
  }

  /**
   * The domain of the members' names in their certificates, with Consul. Default: {@code
   * distributed-pool}.
   *
   * @param domain without the member's name
   * @return this builder
   */
  public PoolBuilder memberDomain(String domain) {
    memberDomain = domain;
    return this;
  }

  /**
   * Sends the token also over http beyond loopback, where others can read it.
   *
   * @return this builder
   */
  public PoolBuilder insecure() {
    insecure = true;
    return this;
  }

  /**
   * Where {@code call} copies the child's output. Default: {@code System.out} and {@code
   * System.err}.
   *
   * @param out receives stdout; null drops it
   * @param err receives stderr; null drops it
   * @return this builder
   */
  public PoolBuilder output(OutputStream out, OutputStream err) {
    stdout = out;
    stderr = err;
    return this;
  }

  /**
   * Receives the progress that the child of a {@code call} reports.
   *
   * @param receiver of each report
   * @return this builder
   */
  public PoolBuilder onProgress(Consumer<PoolEvent.Progress> receiver) {
    onProgress = receiver;
    return this;
  }

  /**
   * Opens no connection to a member; the first request does.
   *
   * @return the pools, which the caller closes
   * @throws PoolException {@code invalid_request} for options that make no sense
   */
  public DistributedPool build() {
    if ((url == null) == (consul == null))
      throw PoolException.of("invalid_request", "expected either a url or consul");
    if (token != null && !token.matches("[\\x21-\\x7e]+"))
      throw PoolException.of(
          "invalid_request", "expected a token of printable characters without spaces");
    return url == null ? watched() : atGateway();
  }

  private boolean hasTls() {
    return ca != null || cert != null;
  }

  private DistributedPool atGateway() {
    URI member = Names.url(url);
    if (token != null && !insecure && Names.isReadable(member)) {
      String detail = "expected an https URL, or a loopback address, for a request with a token; ";
      throw PoolException.of("invalid_request", detail + "insecure sends the token in clear");
    }
    Http http = new Http(token, hasTls() ? Tls.context(ca, cert, key, null) : null);
    return new DistributedPool(this, http, new Gateway(http, url));
  }

  private DistributedPool watched() {
    Map<String, String> names = new ConcurrentHashMap<>();
    String address = consul.url();
    UnaryOperator<String> agentName =
        consul.tlsServerName() == null ? null : host -> consul.tlsServerName();
    SSLContext agent =
        address.startsWith("https:")
            ? Tls.context(consul.caFile(), consul.certFile(), consul.keyFile(), agentName)
            : null;
    Http http = new Http(token, Tls.context(ca, cert, key, names::get));
    Registry registry =
        new Registry(
            new Http(null, agent),
            address,
            consul.headers(),
            new Registry.Trust(hasTls(), insecure || token == null),
            (url, name) -> names.put(Tls.placeOf(url), name + "." + memberDomain));
    Access access = new Direct(http, registry);
    return new DistributedPool(this, http, access);
  }
}
