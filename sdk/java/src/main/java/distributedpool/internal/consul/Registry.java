package distributedpool.internal.consul;

import com.fasterxml.jackson.databind.JsonNode;
import distributedpool.PoolException;
import distributedpool.PoolException.Admitted;
import distributedpool.internal.http.Answer;
import distributedpool.internal.http.Ask;
import distributedpool.internal.http.Http;
import distributedpool.internal.http.Json;
import java.io.IOException;
import java.net.URI;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;

/** One watch on the service in Consul, which keeps the last good list while Consul is away. */
public final class Registry implements AutoCloseable {
  private static final String LIST = "/v1/health/service/distributed-pool";
  /** 5 seconds for the first list to arrive. */
  private static final long FIRST_LIST_MS = 5_000;
  /** 15 seconds, in which a member that is missing when Consul is back may register again. */
  private static final long SETTLE_MS = 15_000;
  /** The pause before a failed watch starts again: 100 ms at first, doubled up to 2 seconds. */
  private static final long RETRY_MIN_MS = 100;
  private static final long RETRY_MAX_MS = 2_000;
  private static final long WAIT_SECONDS = 60;

  /**
   * Which members may be asked.
   *
   * @param httpsOnly whether every member has to serve https
   * @param insecure whether members may be asked over http beyond loopback
   */
  public record Trust(boolean httpsOnly, boolean insecure) {}

  /** One list, with those of the pools that were asked for. */
  private record Listed(Map<String, Member> all, Map<String, Map<String, Member>> byPool) {}

  private final Rights consul;
  private final Trust trust;
  private final BiConsumer<URI, String> onMember;
  private final CountDownLatch first = new CountDownLatch(1);
  private final Thread watch = new Thread(this::watch, "distributed-pool-consul");
  /** Members that went missing while Consul was away, and until when they are listed. */
  private final Map<String, Long> missing = new ConcurrentHashMap<>();
  private volatile Listed listed;
  private volatile PoolException refusal;
  private volatile String error;

  /**
   * Starts the watch.
   *
   * @param onMember receives the URL and the name of each member
   */
  public Registry(
      Http http,
      String url,
      Map<String, String> headers,
      Trust trust,
      BiConsumer<URI, String> onMember) {
    this.consul = new Rights(http, url, headers);
    this.trust = trust;
    this.onMember = onMember;
    watch.setDaemon(true);
    watch.start();
  }

  /** The members of a pool that may admit children, by name. */
  public Map<String, Member> in(String pool) throws InterruptedException {
    Listed now = list();
    Map<String, Member> known = now.byPool.get(Names.pool(pool));
    if (known != null) return known;
    Map<String, Member> members = new LinkedHashMap<>();
    for (Member each : now.all.values())
      if (each.isPassing() && each.pools().contains(pool) && distrust(each) == null)
        members.put(each.name(), each);
    if (!members.isEmpty()) now.byPool.put(pool, members);
    return members;
  }

  /** The member of this name, also while it drains; null for none. */
  public Member find(String name) throws InterruptedException {
    Member found = registered().get(name);
    String reason = found == null ? null : distrust(found);
    if (reason != null) throw PoolException.of("member_lost", reason, Admitted.UNKNOWN, null);
    return found;
  }

  /** All members that may be asked. */
  public List<Member> all() throws InterruptedException {
    List<Member> trusted = new ArrayList<>(registered().values());
    trusted.removeIf(each -> !each.isPassing() || distrust(each) != null);
    return trusted;
  }

  /** The error for a pool in which no member may admit children. */
  public PoolException nobody(String pool) throws InterruptedException {
    PoolException refused = refusalNow();
    if (refused != null) return refused;
    Map<String, Member> all = registered();
    long count = all.values().stream().filter(each -> each.pools().contains(pool)).count();
    if (count > 0) {
      String why = " members is ready; they start, drain, are lost or not trusted";
      String detail = "pool " + pool + ": none of its " + count + why;
      return PoolException.of("no_members_available", detail);
    }
    TreeSet<String> pools = new TreeSet<>();
    for (Member each : all.values()) pools.addAll(each.pools());
    String names = pools.isEmpty() ? "none" : String.join(", ", pools.stream().limit(20).toList());
    String detail = "no member serves pool " + pool + "; the pools are: " + names;
    return PoolException.of("pool_not_found", detail);
  }

  /** Why Consul does not show its whole list; null where it does, or is away. */
  public PoolException refusalNow() throws InterruptedException {
    try {
      return consul.missing();
    } catch (IOException | PoolException away) {
      return null;
    }
  }

  @Override
  public void close() {
    watch.interrupt();
    consul.http().close();
    first.countDown();
  }

  private Map<String, Member> registered() throws InterruptedException {
    return list().all;
  }

  private Listed list() throws InterruptedException {
    if (listed == null) first.await(FIRST_LIST_MS, TimeUnit.MILLISECONDS);
    if (listed != null) return listed;
    if (refusal != null) throw refusal;
    String reason = error == null ? "no answer in " + FIRST_LIST_MS + " ms" : error;
    String detail = "Consul has not answered yet: " + reason;
    throw PoolException.of("no_members_available", detail);
  }

  /** Why a member is not asked; null for a trusted one. */
  private String distrust(Member member) {
    String refused =
        "member %s is registered with %s, and is not asked: expected https"
            .formatted(member.name(), member.url());
    URI url = URI.create(member.url());
    if (trust.httpsOnly && !url.getScheme().equals("https"))
      return refused + ", because TLS is configured";
    if (!trust.insecure && Names.isReadable(url))
      return refused + " or a loopback address, so that no token goes in clear; see insecure";
    return null;
  }

  private void watch() {
    long index = 0;
    long retryMs = RETRY_MIN_MS;
    try {
      for (; ; ) {
        try {
          long next = read(index);
          // An agent that does not wait is not asked in a tight circle.
          if (next == 0 || next == index) Thread.sleep(RETRY_MIN_MS);
          index = next < index ? 0 : next;
          retryMs = RETRY_MIN_MS;
        } catch (IOException | RuntimeException failed) {
          index = 0;
          fail(failed);
          Thread.sleep(retryMs);
          retryMs = Math.min(RETRY_MAX_MS, retryMs * 2);
        }
      }
    } catch (InterruptedException closed) {
      Thread.currentThread().interrupt();
    }
  }

  /** Waits for a list behind the index, and returns its own. */
  private long read(long index) throws IOException, InterruptedException {
    long wait = missing.isEmpty() ? WAIT_SECONDS : SETTLE_MS / 1_000;
    Ask ask = Ask.get(consul.url() + LIST + "?wait=" + wait + "s&index=" + index);
    consul.headers().forEach(ask::header);
    Answer answer = consul.http().send(ask.timeoutMs((wait + 30) * 1_000));
    String text = answer.text(Json.MAX_CHARS);
    if (answer.status() == 403) refusal = consul.missing();
    if (answer.status() != 200) throw new IOException("HTTP " + answer.status() + ": " + text);
    Map<String, Member> members = new LinkedHashMap<>();
    for (JsonNode entry : Json.read(text)) {
      Member member = Member.of(entry);
      if (member != null) members.put(member.name(), member);
    }
    // Consul shows an empty list to a token that may not read it.
    refusal = members.isEmpty() ? consul.missing() : null;
    if (refusal != null) throw refusal;
    accept(members);
    return Long.parseLong(answer.header("x-consul-index", "0"));
  }

  private void fail(Exception failed) {
    error = Http.message(failed);
    if (refusal != null) first.countDown();
  }

  private void accept(Map<String, Member> answered) {
    long now = System.nanoTime();
    if (error != null && listed != null)
      for (String name : listed.all.keySet())
        missing.putIfAbsent(name, now + SETTLE_MS * 1_000_000);
    error = null;
    missing.keySet().removeAll(answered.keySet());
    missing.values().removeIf(until -> until < now);
    Map<String, Member> all = new LinkedHashMap<>(answered);
    for (String name : missing.keySet()) all.put(name, listed.all.get(name));
    for (Member each : all.values()) onMember.accept(URI.create(each.url()), each.name());
    listed = new Listed(all, new ConcurrentHashMap<>());
    first.countDown();
  }
}
