package distributedpool.internal.placement;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.PoolException;
import distributedpool.internal.calls.Access;
import distributedpool.internal.consul.Member;
import distributedpool.internal.consul.Names;
import distributedpool.internal.consul.Registry;
import distributedpool.internal.http.Answer;
import distributedpool.internal.http.Deadline;
import distributedpool.internal.http.Http;
import distributedpool.internal.http.Part;
import distributedpool.model.ChildReference;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Access to pools without a gateway: from a watched list of members, each asked directly. */
public final class Direct implements Access {
  /** Refusals that a later try may not get. */
  private static final Set<String> NOT_NOW =
      Set.of("all_members_at_capacity", "no_members_available");

  /** The facts that this process has found out about one pool. */
  record State(KnownLoads known, Health health) {}

  private final Http http;
  private final Registry registry;
  private final Map<String, State> states = new ConcurrentHashMap<>();

  public Direct(Http http, Registry registry) {
    this.http = http;
    this.registry = registry;
  }

  @Override
  public Answer call(String pool, ObjectNode spec, List<Part> parts) throws InterruptedException {
    return place(pool, spec, parts, true);
  }

  @Override
  public Answer place(String pool, ObjectNode spec, List<Part> parts) throws InterruptedException {
    return place(pool, spec, parts, false);
  }

  private Answer place(String pool, ObjectNode spec, List<Part> parts, boolean isCall)
      throws InterruptedException {
    long waitMs = spec.path("waitMs").asLong();
    Deadline wait = Deadline.in(Math.max(0, waitMs));
    Deadline deadline = Deadline.of(spec);
    try {
      return now(pool, spec, parts, isCall);
    } catch (PoolException error) {
      if (waitMs <= 0 || !NOT_NOW.contains(error.code()) || registry.in(pool).isEmpty())
        throw error;
    }
    ObjectNode rest = deadline.into(spec.deepCopy()).put("waitMs", wait.remainingMs());
    return atGateway(pool, rest, parts, isCall);
  }

  /** A caller of a full pool waits at a member, in the line of all callers of that member. */
  private Answer atGateway(String pool, ObjectNode spec, List<Part> parts, boolean isCall)
      throws InterruptedException {
    List<Member> members = new ArrayList<>(registry.in(pool).values());
    Collections.shuffle(members);
    PoolException last = registry.nobody(pool);
    for (Member member : members) {
      Gateway gateway = new Gateway(http, member.url());
      try {
        return isCall ? gateway.call(pool, spec, parts) : gateway.place(pool, spec, parts);
      } catch (PoolException error) {
        // No member received the request.
        if (!error.code().equals("no_members_available")) throw error;
        last = error;
      }
    }
    throw last;
  }

  private Answer now(String pool, ObjectNode spec, List<Part> parts, boolean isCall)
      throws InterruptedException {
    if (registry.in(pool).isEmpty()) throw registry.nobody(pool);
    State state =
        states.computeIfAbsent(
            pool, name -> new State(new KnownLoads(), new Health()));
    Attempt.Request request = new Attempt.Request(pool, spec, parts, isCall);
    Attempt attempt = new Attempt(http, registry, state, request);
    Map<String, Member> fit = attempt.candidates();
    boolean isThorough = spec.path("waitMs").asLong() == 0;
    try {
      return new Search(pool, fit, state.known, state.health, attempt).place(isThorough);
    } catch (PoolException error) {
      if (error.code().equals("all_members_at_capacity") && spec.has("idempotencyKey")) {
        // The child that a key has started needs no slot, so any member answers with it.
        Admission admission = attempt.admit(fit.values().iterator().next());
        if (admission instanceof Admission.Admitted admitted) return admitted.answer();
      }
      boolean isAway = error.code().equals("no_members_available");
      PoolException refusal = isAway ? registry.refusalNow() : null;
      if (refusal == null) refusal = Admission.refusalIn(error.getCause());
      throw refusal == null ? error : refusal;
    }
  }

  /** The load of a member. */
  static Load loadOf(JsonNode count, String pool) throws IOException {
    Load load = Load.of(count.path("pools").path(pool));
    if (load == null) throw new IOException("the member does not serve pool " + pool);
    return load;
  }

  @Override
  public void ended(ChildReference child) {
    State state = states.get(child.pool());
    if (state != null) state.known.ended(child.member());
  }

  @Override
  public boolean asksOwners() {
    return true;
  }

  @Override
  public String childUrl(String id) throws InterruptedException {
    String owner = Names.owner(id);
    Member member = registry.find(owner);
    if (member != null) return member.url() + "/children/" + id;
    PoolException refusal = registry.refusalNow();
    if (refusal != null) throw refusal;
    String detail = "no member is called " + owner + ", so there is no child " + id;
    throw PoolException.of("child_not_found", detail);
  }

  @Override
  public String directUrl(ChildReference child) {
    return null;
  }

  @Override
  public String gateway() throws InterruptedException {
    List<Member> members = registry.all();
    if (members.isEmpty())
      throw PoolException.of("no_members_available", "Consul shows no member that may be asked");
    Collections.shuffle(members);
    return members.get(0).url();
  }

  @Override
  public void close() {
    registry.close();
  }
}
