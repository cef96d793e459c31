package distributedpool.internal.placement;

import distributedpool.PoolException;
import distributedpool.internal.consul.Member;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * The health of the members of one pool. A member that fails several times in a row goes to the end
 * of the order for a while: Envoy's outlier detection. No member is left out for good.
 */
final class Health {
  /** 3 failures in a row eject a member. */
  private static final int FAILURES = 3;
  /** 5 seconds for the first ejection, 10 for the second, up to 5 minutes. */
  private static final long EJECTION_MS = 5_000;
  private static final long MAX_EJECTION_MS = 300_000;
  /** Once the ejection is over, one caller a second tries the member, until it works. */
  private static final long TRIAL_MS = 1_000;
  /** After 5 minutes in order, former ejections no longer count. */
  private static final long FORGET_MS = 300_000;
  /** 10,000 members with failures are known at a time. */
  private static final int MAX_KNOWN = 10_000;
  /** Failures of an admission for which a sick member may be the cause. */
  private static final Set<String> SICK =
      Set.of("sandbox_unavailable", "internal_error", "member_lost");

  /** Failures of one kind, by the member's name. */
  static final class Outliers {
    private static final class Failing {
      int failures;
      int ejections;
      long until;
      boolean isOnTrial;
    }

    private final Map<String, Failing> failing = new LinkedHashMap<>();

    private static long now() {
      return System.nanoTime() / 1_000_000;
    }

    synchronized boolean mayTry(String name) {
      Failing known = failing.get(name);
      if (known == null || known.failures < FAILURES) return true;
      long now = now();
      if (now < known.until) return false;
      known.until = now + TRIAL_MS;
      known.isOnTrial = true;
      return true;
    }

    synchronized void failed(String name) {
      Failing known = failing.computeIfAbsent(name, added -> new Failing());
      if (failing.size() > MAX_KNOWN) failing.remove(failing.keySet().iterator().next());
      known.failures += 1;
      long now = now();
      boolean isEjected = now < known.until && !known.isOnTrial;
      if (known.failures < FAILURES || isEjected) return;
      known.ejections += 1;
      known.isOnTrial = false;
      known.until = now + Math.min(MAX_EJECTION_MS, EJECTION_MS * known.ejections);
    }

    synchronized void worked(String name) {
      Failing known = failing.get(name);
      if (known == null) return;
      known.failures = 0;
      if (known.ejections == 0 || now() - known.until > FORGET_MS) failing.remove(name);
    }
  }

  /** Whether members start children. Only an admission shows that one does. */
  final Outliers starts = new Outliers();
  /** Whether members tell their load in time. */
  final Outliers answers = new Outliers();

  /** Whether a member comes before the sick ones. For a sick one, now and then one caller may. */
  boolean mayTry(Member member) {
    return starts.mayTry(member.name()) && answers.mayTry(member.name());
  }

  /** Whether a sick member may be the cause, and not the request. */
  static boolean isSick(Throwable error) {
    return !(error instanceof PoolException known) || SICK.contains(known.code());
  }
}
