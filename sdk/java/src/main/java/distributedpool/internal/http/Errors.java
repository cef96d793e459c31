package distributedpool.internal.http;

import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.PoolException;
import distributedpool.PoolException.Admitted;

/** Errors with more than their member knew. */
public final class Errors {
  private Errors() {}

  /** The same error of a call that a member may have admitted, or certainly has. */
  public static PoolException with(Admitted admitted, PoolException error) {
    ObjectNode fields = Json.object();
    if (admitted == Admitted.UNKNOWN) fields.put("admitted", "unknown");
    else fields.put("admitted", admitted == Admitted.TRUE);
    return with(fields, error);
  }

  /** The same error with further fields of its problem. */
  public static PoolException with(ObjectNode fields, PoolException error) {
    ObjectNode problem = error.problem().deepCopy();
    problem.setAll(fields);
    return PoolException.of(problem, error.retryAfter().orElse(null), error);
  }
}
