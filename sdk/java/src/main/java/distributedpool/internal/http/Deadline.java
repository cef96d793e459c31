package distributedpool.internal.http;

import com.fasterxml.jackson.databind.node.ObjectNode;

/** A deadline, which is fixed once when a call is made. Later steps are given what remains. */
public final class Deadline {
  /** Some 70 years. */
  private static final long NEVER_MS = Long.MAX_VALUE / 4_000_000;

  private final long at;
  private final boolean isFinite;

  private Deadline(long at, boolean isFinite) {
    this.at = at;
    this.isFinite = isFinite;
  }

  /** The deadline in so many milliseconds; none for a negative number. */
  public static Deadline in(long ms) {
    long capped = Math.min(ms, NEVER_MS);
    return new Deadline(System.nanoTime() + capped * 1_000_000, ms >= 0);
  }

  /** The deadline of a spec, which starts now. */
  public static Deadline of(ObjectNode spec) {
    return in(spec.path("deadlineMs").isNumber() ? spec.get("deadlineMs").asLong() : -1);
  }

  /** Milliseconds that remain; 0 once it has passed; a very large number without a deadline. */
  public long remainingMs() {
    if (!isFinite) return NEVER_MS;
    return Math.max(0, (at - System.nanoTime() + 999_999) / 1_000_000);
  }

  /** Whether the deadline has passed. */
  public boolean hasPassed() {
    return remainingMs() == 0;
  }

  /** Puts what remains into a spec, at least 1 ms. */
  public ObjectNode into(ObjectNode spec) {
    if (isFinite) spec.put("deadlineMs", Math.max(1, remainingMs()));
    return spec;
  }
}
