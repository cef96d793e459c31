package distributedpool.internal.consul;

import distributedpool.PoolException;
import distributedpool.internal.http.Json;
import java.net.URI;
import java.util.regex.Pattern;

/** Names, ids and URLs, which are checked before they become a part of a request. */
public final class Names {
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,62}");
  private static final Pattern ID = Pattern.compile("(" + NAME + ")\\.[0-9a-f]{32}");
  private static final Pattern LOOPBACK =
      Pattern.compile("127\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}|\\[::1]|localhost");

  private Names() {}

  /** The pool's name. A path such as {@code ..} would change the URL. */
  public static String pool(String name) {
    if (name != null && NAME.matcher(name).matches()) return name;
    String rule = "1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit";
    throw invalid("a pool name: " + rule, name);
  }

  /** The name of the member that owns a child. */
  public static String owner(String id) {
    var match = ID.matcher(id == null ? "" : id);
    if (match.matches()) return match.group(1);
    throw invalid("a child id: a member name, a dot, 32 hexadecimal digits", id);
  }

  /** The URL of a member. */
  public static URI url(String text) {
    try {
      URI uri = URI.create(text == null ? "" : text);
      boolean isHttp = "http".equals(uri.getScheme()) || "https".equals(uri.getScheme());
      if (isHttp && uri.getHost() != null) return uri;
    } catch (IllegalArgumentException malformed) {
      throw invalid("the URL of a member, such as http://127.0.0.1:7400", text);
    }
    throw invalid("the URL of a member, such as http://127.0.0.1:7400", text);
  }

  /** Whether others on the network can read what is sent to this URL. */
  public static boolean isReadable(URI url) {
    return url.getScheme().equals("http") && !LOOPBACK.matcher(url.getHost()).matches();
  }

  private static PoolException invalid(String expected, String got) {
    String shown = got == null ? "null" : Json.quoted(got);
    return PoolException.of("invalid_request", "expected " + expected + "; got " + shown);
  }
}
