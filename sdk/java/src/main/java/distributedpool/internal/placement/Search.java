package distributedpool.internal.placement;

import distributedpool.PoolException;
import distributedpool.internal.consul.Member;
import distributedpool.internal.http.Answer;
import distributedpool.internal.http.Http;
import distributedpool.internal.placement.ProbeRound.Probed;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * One caller's search for a member that admits: at members that it knows, then at those that it
 * asks. When each member of a sample refuses, a larger sample of the others is asked, until none is
 * left. The member's own admission is the only truth.
 */
final class Search {
  /** 3 members that are known at most refuse a caller, before it asks. */
  private static final int KNOWN_TRIES = 3;
  /** In a pool of up to 20 members, all are asked at once. */
  private static final int ASK_ALL_UP_TO = 20;
  /** 5 members of a larger pool in the first sample; each further one is 4 times as large. */
  private static final int SAMPLE = 5;
  private static final int GROWTH = 4;
  /** 3 passes over the members, because slots come free and are taken during one pass. */
  private static final int PASSES = 3;
  /** 250 ms for a member to tell its load; 2 seconds when no other member admits. */
  private static final long PROBE_MS = 250;
  private static final long PATIENT_PROBE_MS = 2_000;

  /** The surroundings that a search needs. */
  interface Ports extends ProbeRound.Probe {
    /** Tries to be admitted. Throws only when the member may have admitted the child. */
    Admission admit(Member member) throws InterruptedException;
  }

  private final String pool;
  private final Map<String, Member> members;
  private final KnownLoads known;
  private final Health health;
  private final Ports ports;
  private final Set<Member> slow = new LinkedHashSet<>();
  private int full;
  private PoolException closed;
  private Throwable lastError;
  private KnownLoads.Choice busy;

  Search(String pool, Map<String, Member> members, KnownLoads known, Health health, Ports ports) {
    this.pool = pool;
    this.members = members;
    this.known = known;
    this.health = health;
    this.ports = ports;
  }

  /**
   * Finds the least loaded member that admits.
   *
   * @param isThorough whether to look again for slots that came free meanwhile
   * @throws PoolException {@code no_members_available}, {@code all_members_at_capacity}, or {@code
   *     member_lost} when a member was lost while it may have admitted
   */
  Answer place(boolean isThorough) throws InterruptedException {
    Answer answer = tryKnown();
    for (int pass = 0; answer == null && pass < (isThorough ? PASSES : 1); pass++) {
      if (pass > 0) full = 0;
      answer = tryAll(pass == 0 ? members.size() : Math.min(members.size(), ASK_ALL_UP_TO));
      // A slow member is not lost. When no other one admits, it gets a longer wait, once.
      if (answer == null && pass == 0 && !slow.isEmpty())
        answer = tryEach(new ArrayList<>(slow), PATIENT_PROBE_MS, false);
      if (answer == null && full == 0) throw noneAnswers();
    }
    if (answer == null) throw noneAdmits();
    return answer;
  }

  private Answer tryKnown() throws InterruptedException {
    Set<Member> tried = new HashSet<>();
    while (tried.size() < KNOWN_TRIES) {
      var choice = known.choose(members, each -> !tried.contains(each) && health.mayTry(each));
      if (choice == null) break;
      if (choice.isBusy()) {
        busy = choice;
        return null;
      }
      tried.add(choice.member());
      Answer answer = tryOne(choice.member());
      if (answer != null) return answer;
    }
    Member older = known.older(members, each -> !tried.contains(each) && health.mayTry(each));
    if (older == null) return null;
    // One of two that hangs delays nobody.
    for (Member other : shuffled())
      if (!other.equals(older) && !tried.contains(other) && health.mayTry(other))
        return tryEach(List.of(older, other), PROBE_MS, false);
    return tryEach(List.of(older), PROBE_MS, false);
  }

  /** Asks batches of the members, the sick ones last. */
  private Answer tryAll(int enough) throws InterruptedException {
    List<Member> well = new ArrayList<>();
    List<Member> sick = new ArrayList<>();
    for (Member each : shuffled()) (health.mayTry(each) ? well : sick).add(each);
    int asked = 0;
    for (List<Member> group : List.of(well, sick)) {
      int size = members.size() <= ASK_ALL_UP_TO ? members.size() : SAMPLE;
      for (int from = 0; from < group.size() && asked < enough; size *= GROWTH) {
        List<Member> batch = group.subList(from, Math.min(group.size(), from + size));
        Answer answer = tryEach(batch, PROBE_MS, true);
        if (answer != null) return answer;
        from += batch.size();
        asked += batch.size();
      }
    }
    return null;
  }

  /** Asks the candidates for their load, and tries them from the least loaded on. */
  private Answer tryEach(List<Member> candidates, long timeoutMs, boolean isSample)
      throws InterruptedException {
    try (ProbeRound round = new ProbeRound(candidates, timeoutMs, ports)) {
      for (boolean isEarly : new boolean[] {true, false}) {
        List<Probed> answered = isEarly ? round.early() : round.late();
        for (Probed each : answered) known.note(each.member().name(), each.load());
        if (isSample) known.noteSample(answered.stream().map(Probed::load).toList());
        for (Member member : byLoad(answered, candidates)) {
          Answer answer = tryOne(member);
          if (answer != null) return answer;
        }
      }
      slow.addAll(round.slow());
      if (round.lastError != null) lastError = round.lastError;
      return null;
    }
  }

  /** The members with a free slot, lowest active/max first; equals keep their random order. */
  private List<Member> byLoad(List<Probed> answered, List<Member> candidates) {
    List<Probed> free = new ArrayList<>(answered);
    free.removeIf(each -> !each.load().isFree());
    full += answered.size() - free.size();
    // The first sample is compared with the member that was known before.
    if (busy != null && !candidates.contains(busy.member()))
      free.add(new Probed(busy.member(), busy.load()));
    busy = null;
    free.sort(Comparator.comparingDouble(each -> each.load().ratio()));
    return free.stream().map(Probed::member).toList();
  }

  private Answer tryOne(Member member) throws InterruptedException {
    known.sent(member.name());
    Admission admission = null;
    try {
      admission = ports.admit(member);
    } finally {
      boolean isAdmitted = admission instanceof Admission.Admitted;
      known.answered(member.name(), isAdmitted, admission == null ? null : admission.load());
    }
    if (admission instanceof Admission.Admitted admitted) return admitted.answer();
    if (admission instanceof Admission.Full refused) {
      full += 1;
      if (refused.closed() != null) closed = refused.closed();
    } else lastError = ((Admission.Unreachable) admission).why();
    return null;
  }

  private List<Member> shuffled() {
    List<Member> all = new ArrayList<>(members.values());
    Collections.shuffle(all);
    return all;
  }

  private PoolException noneAnswers() {
    String why = lastError == null ? "no answer in time" : Http.message(lastError);
    String form = "pool %s: none of its %d members answers: %s";
    String detail = form.formatted(pool, members.size(), why);
    return PoolException.of("no_members_available", detail, null, lastError);
  }

  private PoolException noneAdmits() {
    String detail =
        closed == null
            ? "all " + members.size() + " members are at capacity"
            : "none of " + members.size() + " members admits: " + closed.getMessage();
    String text = "pool " + pool + ": " + detail;
    return PoolException.of("all_members_at_capacity", text, null, closed);
  }
}
