package distributedpool.internal.calls;

import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.PoolException;
import distributedpool.PoolException.Admitted;
import distributedpool.internal.http.Deadline;
import distributedpool.internal.http.Errors;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/** The tries of one call, which is made again only where it cannot start a second child. */
public final class Retries {
  /** The first pause takes up to 100 ms; the limit of each further pause is twice as high. */
  private static final long FIRST_PAUSE_MS = 100;
  /** No pause takes more than 10 seconds, apart from what `Retry-After` asks for. */
  private static final long MAX_PAUSE_MS = 10_000;
  /** 3 tries behind a gateway that drains: at its URL another member may answer. */
  private static final int MIN_DRAINING = 3;
  /** A member that asks for more than 1 minute is not asked again. */
  private static final long MAX_RETRY_AFTER_MS = 60_000;

  private final int max;
  private final Deadline deadline;
  private final boolean isKeyed;
  private int made;
  private boolean mayRun;

  /** @param max the number of further tries */
  public Retries(int max, ObjectNode spec) {
    this.max = max;
    this.deadline = Deadline.of(spec);
    this.isKeyed = spec.has("idempotencyKey");
  }

  /** The spec of the next try, with the rest of the deadline. */
  public ObjectNode next(ObjectNode spec) {
    ObjectNode copy = spec.deepCopy();
    return made == 0 ? copy : deadline.into(copy);
  }

  /** Whether the call may be made again: it starts no second child, and tries are left. */
  public boolean allow(PoolException error) {
    boolean isLost = isKeyed && error.code().equals("member_lost");
    if (!error.retryable() && !isLost) return false;
    return made < (error.code().equals("draining") ? Math.max(max, MIN_DRAINING) : max);
  }

  /** The error of the last try. A refusal does not say that the tries before it ran nothing. */
  public PoolException known(PoolException error) {
    return mayRun && error.retryable() ? Errors.with(Admitted.UNKNOWN, error) : error;
  }

  /**
   * Pauses before the next try: a random time behind the time of {@code Retry-After}.
   *
   * @throws PoolException the error itself when no try is left, or the deadline would pass
   */
  public void pauseAfter(PoolException error) throws InterruptedException {
    if (!allow(error)) throw known(error);
    long asked = error.retryAfter().map(Duration::toMillis).orElse(0L);
    long longest = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS << Math.min(made, 10));
    long ms = asked + ThreadLocalRandom.current().nextLong(longest + 1);
    if (asked > MAX_RETRY_AFTER_MS || ms >= deadline.remainingMs()) throw known(error);
    made += 1;
    mayRun |= !error.admitted().equals(Optional.of(Admitted.FALSE));
    Thread.sleep(ms);
  }
}
