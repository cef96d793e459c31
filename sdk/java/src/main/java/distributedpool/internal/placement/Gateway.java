package distributedpool.internal.placement;

import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.PoolException;
import distributedpool.internal.calls.Access;
import distributedpool.internal.calls.SpecSender;
import distributedpool.internal.calls.SpecSender.Posted;
import distributedpool.internal.calls.SpecSender.Request;
import distributedpool.internal.consul.Names;
import distributedpool.internal.http.Answer;
import distributedpool.internal.http.Http;
import distributedpool.internal.http.Part;
import distributedpool.model.ChildReference;
import java.io.IOException;
import java.net.URI;
import java.util.List;
import java.util.Map;

/** Access to pools through one member, the gateway, which places and forwards. */
public final class Gateway implements Access {
  /** 30 seconds for the gateway, which may have to try many members, to answer a placement. */
  private static final long PLACE_TIMEOUT_MS = 30_000;
  /** One day, the longest wait for a slot. */
  private static final long MAX_WAIT_MS = 86_400_000;

  private final Http http;
  private final String url;

  /** @throws PoolException {@code invalid_request} for another string than the URL of a member */
  public Gateway(Http http, String url) {
    this.http = http;
    this.url = Names.url(url).toString().replaceAll("/+$", "");
  }

  @Override
  public Answer call(String pool, ObjectNode spec, List<Part> parts) throws InterruptedException {
    return post(of(pool) + "/call", new Request(spec, parts, true, PLACE_TIMEOUT_MS, Map.of()));
  }

  @Override
  public Answer place(String pool, ObjectNode spec, List<Part> parts) throws InterruptedException {
    long waitMs = Math.max(0, Math.min(spec.path("waitMs").asLong(), MAX_WAIT_MS));
    long timeoutMs = PLACE_TIMEOUT_MS + waitMs;
    return post(of(pool) + "/children", new Request(spec, parts, false, timeoutMs, Map.of()));
  }

  private Answer post(String target, Request request) throws InterruptedException {
    try {
      Posted posted = SpecSender.post(http, target, request);
      if (posted.refusal() != null) throw posted.refusal();
      return posted.answer();
    } catch (IOException error) {
      throw failure(url, error);
    }
  }

  /** The error of a request without an answer. One that no member received may be sent again. */
  public static PoolException failure(String url, Throwable error) {
    if (!Http.neverSent(error)) return Http.noAnswer(url, error);
    String detail = "cannot reach a member at " + url + ": " + Http.message(error);
    return PoolException.of("no_members_available", detail, null, error);
  }

  @Override
  public boolean asksOwners() {
    return false;
  }

  @Override
  public String childUrl(String id) {
    Names.owner(id);
    return url + "/children/" + id;
  }

  @Override
  public String directUrl(ChildReference child) {
    return mayFollow(child.url()) ? child.url() : null;
  }

  /** Never from https to http, and no token in clear beyond the machine. */
  private boolean mayFollow(String to) {
    URI source = URI.create(url);
    URI target;
    try {
      target = Names.url(to);
    } catch (PoolException malformed) {
      return false;
    }
    if (target.getScheme().equals("https")) return true;
    if (source.getScheme().equals("https")) return false;
    boolean isSame = source.getRawAuthority().equals(target.getRawAuthority());
    return !http.hasToken() || isSame || !Names.isReadable(source) && !Names.isReadable(target);
  }

  @Override
  public String gateway() {
    return url;
  }

  @Override
  public void close() {}

  private String of(String pool) {
    return url + "/pools/" + Names.pool(pool);
  }
}
