package distributedpool;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * How to reach a Consul agent. Only the address is required; the rest is null for none.
 *
 * @param address {@code http://127.0.0.1:8500}, {@code https://…}, or {@code host:port}
 * @param token an ACL token that may read the service
 * @param auth {@code user:password} for HTTP basic authentication
 * @param caFile the authority to trust, in PEM; default: the well-known ones
 * @param certFile the client certificate, in PEM
 * @param keyFile its key, in PKCS #8
 * @param tlsServerName the name that the agent's certificate must carry; default: its host
 * @param namespace a namespace of Consul Enterprise
 */
public record ConsulOptions(
    String address,
    String token,
    String auth,
    Path caFile,
    Path certFile,
    Path keyFile,
    String tlsServerName,
    String namespace) {
  /** The words that the {@code consul} command takes for true. */
  private static final Set<String> TRUE = Set.of("1", "t", "T", "true", "TRUE", "True");

  /**
   * The agent at an address.
   *
   * @param address {@code host:port} or a URL
   * @return the options
   */
  public static ConsulOptions at(String address) {
    return new ConsulOptions(address, null, null, null, null, null, null, null);
  }

  /**
   * Reads Consul's own variables: {@code CONSUL_HTTP_ADDR}, {@code CONSUL_HTTP_SSL}, {@code
   * CONSUL_HTTP_TOKEN}, {@code CONSUL_HTTP_TOKEN_FILE}, {@code CONSUL_HTTP_AUTH}, {@code
   * CONSUL_CACERT}, {@code CONSUL_CLIENT_CERT}, {@code CONSUL_CLIENT_KEY}, {@code
   * CONSUL_TLS_SERVER_NAME} and {@code CONSUL_NAMESPACE}.
   *
   * @param env the variables, such as {@code System.getenv()}
   * @return the options; {@code 127.0.0.1:8500} without an address
   * @throws UncheckedIOException when the file with the token cannot be read
   * @throws PoolException {@code invalid_request} for {@code CONSUL_HTTP_SSL_VERIFY=false}
   */
  public static ConsulOptions from(Map<String, String> env) {
    if (!TRUE.contains(of(env, "HTTP_SSL_VERIFY", "1")))
      throw PoolException.of(
          "invalid_request",
          "expected a certificate that is verified; got CONSUL_HTTP_SSL_VERIFY=false: "
              + "name the authority by CONSUL_CACERT");
    String address = of(env, "HTTP_ADDR", "127.0.0.1:8500");
    boolean isTls = TRUE.contains(of(env, "HTTP_SSL", "0")) && !address.contains("://");
    String tokenFile = of(env, "HTTP_TOKEN_FILE", null);
    return new ConsulOptions(
        isTls ? "https://" + address : address,
        tokenFile == null ? of(env, "HTTP_TOKEN", null) : read(tokenFile),
        of(env, "HTTP_AUTH", null),
        path(env, "CACERT"),
        path(env, "CLIENT_CERT"),
        path(env, "CLIENT_KEY"),
        of(env, "TLS_SERVER_NAME", null),
        of(env, "NAMESPACE", null));
  }

  /** The address as a URL without a final slash. */
  String url() {
    String text = address.contains("://") ? address : "http://" + address;
    try {
      URI uri = URI.create(text);
      boolean isHttp = Set.of("http", "https").contains(String.valueOf(uri.getScheme()));
      if (isHttp && uri.getHost() != null) return text.replaceAll("/+$", "");
    } catch (IllegalArgumentException malformed) {
      throw invalid(malformed);
    }
    throw invalid(null);
  }

  private PoolException invalid(Exception cause) {
    String detail = "expected Consul's address as http://HOST:PORT or HOST:PORT; got " + address;
    return PoolException.of("invalid_request", detail, null, cause);
  }

  Map<String, String> headers() {
    Map<String, String> headers = new LinkedHashMap<>();
    if (token != null) headers.put("x-consul-token", token);
    if (namespace != null) headers.put("x-consul-namespace", namespace);
    if (auth != null) {
      byte[] bytes = auth.getBytes(StandardCharsets.UTF_8);
      headers.put("authorization", "Basic " + Base64.getEncoder().encodeToString(bytes));
    }
    return headers;
  }

  /** The {@code consul} command takes an empty variable for none. */
  private static String of(Map<String, String> env, String name, String other) {
    String value = env.get("CONSUL_" + name);
    return value == null || value.isEmpty() ? other : value;
  }

  private static Path path(Map<String, String> env, String name) {
    String file = of(env, name, null);
    return file == null ? null : Path.of(file);
  }

  private static String read(String file) {
    try {
      return Files.readString(Path.of(file)).strip();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }
}
