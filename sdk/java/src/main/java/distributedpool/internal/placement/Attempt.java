package distributedpool.internal.placement;

import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.PoolException;
import distributedpool.PoolException.Admitted;
import distributedpool.internal.calls.SpecSender;
import distributedpool.internal.consul.Member;
import distributedpool.internal.consul.Registry;
import distributedpool.internal.http.Ask;
import distributedpool.internal.http.Codes;
import distributedpool.internal.http.Deadline;
import distributedpool.internal.http.Http;
import distributedpool.internal.http.Json;
import distributedpool.internal.http.Part;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** The requests of one caller to the members: for their load, and to be admitted. */
final class Attempt implements Search.Ports {
  /** 10 seconds for an admission; a member that says nothing for this long is lost. */
  private static final long ADMIT_MS = 10_000;
  /** A try whose answer was lost is sent again 3 times within that time, first after 50 ms. */
  private static final int REPEATS = 3;
  private static final long FIRST_PAUSE_MS = 50;
  /** 100 ms for a member to tell its load; a slower answer counts as a failure. */
  private static final long SLOW_NANOS = 100_000_000;

  record Request(String pool, ObjectNode spec, List<Part> parts, boolean isCall) {}

  private final Http http;
  private final Registry registry;
  private final Direct.State state;
  private final Request request;
  private final Deadline deadline;
  /** The members that cannot serve the call, with their refusals. They are not asked again. */
  private final Map<String, PoolException> unfit = new LinkedHashMap<>();

  Attempt(Http http, Registry registry, Direct.State state, Request request) {
    this.http = http;
    this.registry = registry;
    this.state = state;
    this.request = request;
    this.deadline = Deadline.of(request.spec);
  }

  /** The members that may serve the call. @throws PoolException the refusal, when none is left */
  Map<String, Member> candidates() throws InterruptedException {
    Map<String, Member> fit = Fitting.of(request.pool, request.spec, registry.in(request.pool));
    if (unfit.isEmpty()) return fit;
    Map<String, Member> others = new LinkedHashMap<>(fit);
    others.keySet().removeAll(unfit.keySet());
    if (others.isEmpty()) throw unfit.values().iterator().next();
    return others;
  }

  @Override
  public Load load(Member member, long timeoutMs) throws Exception {
    long startedAt = System.nanoTime();
    Load load = null;
    try {
      Ask ask = Ask.get(member.url() + "/children/count").timeoutMs(timeoutMs);
      load = Direct.loadOf(http.send(ask).json("pools"), request.pool);
      return load;
    } finally {
      boolean isQuick = load != null && System.nanoTime() - startedAt <= SLOW_NANOS;
      // A caller that leaves early ends its questions.
      if (isQuick) state.health().answers.worked(member.name());
      else if (!Thread.interrupted()) state.health().answers.failed(member.name());
    }
  }

  @Override
  public Admission admit(Member member) throws InterruptedException {
    // A request to a member that leaves could get lost, and nobody would know whether it ran.
    if (!registry.in(request.pool).containsKey(member.name()))
      return unreachable(new IOException("member " + member.name() + " has left"));
    if (unfit.containsKey(member.name()))
      return unreachable(unfit.get(member.name()));
    if (deadline.hasPassed())
      throw PoolException.of("deadline_exceeded", "the deadline passed before a member admitted");
    Admission admission = noted(member);
    if (admission.load() != null) state.known().note(member.name(), admission.load());
    if (admission instanceof Admission.Unreachable none) note(member, none.why());
    if (!unfit.isEmpty()) candidates();
    return admission;
  }

  /** Notes a refusal that would come again. A code of a newer member may mean that. */
  private void note(Member member, Throwable refusal) {
    if (!(refusal instanceof PoolException why)) return;
    boolean isLasting = Admission.UNFIT.contains(why.code()) || !Codes.isKnown(why.code());
    if (isLasting) unfit.put(member.name(), why);
  }

  private static Admission unreachable(Throwable why) {
    return new Admission.Unreachable(why, null);
  }

  /** Tries a member, and notes whether it is sick. */
  private Admission noted(Member member) throws InterruptedException {
    Health.Outliers starts = state.health().starts;
    try {
      Admission admission = tryMember(member);
      if (admission instanceof Admission.Admitted) starts.worked(member.name());
      else if (admission instanceof Admission.Unreachable none && Health.isSick(none.why()))
        starts.failed(member.name());
      return admission;
    } catch (PoolException error) {
      if (Health.isSick(error)) starts.failed(member.name());
      throw error;
    }
  }

  private Admission tryMember(Member member) throws InterruptedException {
    try {
      return Admission.of(untilAnswered(member));
    } catch (IOException error) {
      if (Http.neverSent(error)) return unreachable(error);
      String detail =
          "member %s was lost while it may have admitted the child: %s"
              .formatted(member.name(), Http.message(error));
      throw PoolException.of("member_lost", detail, Admitted.UNKNOWN, error);
    }
  }

  /**
   * A try whose answer was lost is sent again, to the same process: it remembers the request, and
   * answers with the child that the first one started, or starts it.
   */
  private SpecSender.Posted untilAnswered(Member member) throws IOException, InterruptedException {
    String url = member.url() + (request.isCall ? "/call" : "/children");
    String id = UUID.randomUUID().toString();
    Deadline until = Deadline.in(ADMIT_MS);
    IOException lost = null;
    for (int attempt = 0; ; attempt++) {
      ObjectNode spec = Json.object().put("pool", request.pool).setAll(request.spec);
      deadline.into(spec).put("waitMs", 0);
      String name = member.boot() + "." + id + "." + attempt;
      Map<String, String> headers =
          member.boot() == null ? Map.of() : Map.of("pool-request-id", name);
      long timeoutMs = Math.max(1, until.remainingMs());
      try {
        return SpecSender.post(
            http,
            url,
            new SpecSender.Request(spec, request.parts, request.isCall, timeoutMs, headers));
      } catch (PoolException error) {
        if (lost == null) throw error;
      } catch (IOException error) {
        // A refused connection says nothing about the try before.
        if (attempt == 0 && Http.neverSent(error)) throw error;
        if (lost == null) lost = error;
      }
      long pauseMs = FIRST_PAUSE_MS << attempt;
      boolean isOver = attempt == REPEATS || pauseMs >= until.remainingMs();
      if (isOver || member.boot() == null) throw lost;
      Thread.sleep(pauseMs);
    }
  }
}
