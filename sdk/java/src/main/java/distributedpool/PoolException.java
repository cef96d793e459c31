package distributedpool;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.internal.http.Codes;
import distributedpool.internal.http.Json;
import distributedpool.model.ChildReference;
import distributedpool.model.FunctionError;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The one error of the SDK: a problem that ended a request or a child.
 *
 * <p>Match its {@link #code()}, which is stable. A newer member may send a code that this version
 * does not know, so a {@code switch} over codes needs a default. The message is for people.
 *
 * <pre>{@code
 * try {
 *   pool.call("pipeline", Spec.command("true"));
 * } catch (PoolException error) {
 *   if (error.code().equals("all_members_at_capacity")) System.err.println("later");
 * }
 * }</pre>
 */
public final class PoolException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Whether a member admitted the child. */
  public enum Admitted {
    /** The child was admitted, and may have run. */
    TRUE,
    /** Certainly nothing was run, so the same call may be made again. */
    FALSE,
    /** The answer was lost. */
    UNKNOWN
  }

  private final ObjectNode problem;
  private final Duration retryAfter;
  private final int index;

  private PoolException(ObjectNode problem, Duration retryAfter, int index, Throwable cause) {
    super(problem.path("detail").asText(), cause);
    this.problem = problem;
    this.retryAfter = retryAfter;
    this.index = index;
  }

  /**
   * The error of a problem.
   *
   * @param problem as the contract has it; at least {@code code} and {@code detail}
   * @param retryAfter the pause that the member asked for; null for none
   * @param cause the error behind it; null for none
   * @return the error
   */
  public static PoolException of(JsonNode problem, Duration retryAfter, Throwable cause) {
    return new PoolException(problem.deepCopy(), retryAfter, -1, cause);
  }

  /**
   * The error of a code.
   *
   * @param code the code
   * @param detail what was expected, and what came
   * @return the error
   */
  public static PoolException of(String code, String detail) {
    return of(code, detail, null, null);
  }

  /**
   * The error of a code, with what is known about the child.
   *
   * @param code the code
   * @param detail what was expected, and what came
   * @param admitted whether a member admitted the child; null where the code says it
   * @param cause the error behind it; null for none
   * @return the error
   */
  public static PoolException of(String code, String detail, Admitted admitted, Throwable cause) {
    ObjectNode problem =
        Json.object()
            .put("type", "urn:distributed-pool:problem:" + code)
            .put("title", code.replace('_', ' '))
            .put("status", Codes.status(code))
            .put("detail", detail)
            .put("code", code);
    return new PoolException(put(problem, admitted), null, -1, cause);
  }

  /** The same error of the call for one input of a map. */
  PoolException at(int input) {
    return new PoolException(problem, retryAfter, input, this);
  }

  private static ObjectNode put(ObjectNode problem, Admitted admitted) {
    if (admitted == Admitted.UNKNOWN) problem.put("admitted", "unknown");
    else if (admitted != null) problem.put("admitted", admitted == Admitted.TRUE);
    return problem;
  }

  /**
   * The stable code, such as {@code all_members_at_capacity}.
   *
   * @return the code, also one that this version does not know
   */
  public String code() {
    return problem.path("code").asText();
  }

  /**
   * The HTTP status of the problem.
   *
   * @return the status
   */
  public int status() {
    return problem.path("status").asInt(500);
  }

  /**
   * Whether a member admitted the child.
   *
   * @return empty where neither the problem nor its code says it
   */
  public Optional<Admitted> admitted() {
    JsonNode said = problem.path("admitted");
    if (said.isBoolean())
      return Optional.of(said.booleanValue() ? Admitted.TRUE : Admitted.FALSE);
    if (said.isTextual()) return Optional.of(Admitted.UNKNOWN);
    return Codes.isRetryable(code()) ? Optional.of(Admitted.FALSE) : Optional.empty();
  }

  /**
   * Whether nothing was run, so that the caller may make the same call again after a pause.
   *
   * @return false for a code that this version does not know, unless the problem says it
   */
  public boolean retryable() {
    return admitted().equals(Optional.of(Admitted.FALSE));
  }

  /**
   * The pause that the member asked for by {@code Retry-After}.
   *
   * @return empty when it asked for none
   */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfter);
  }

  /**
   * The error that the function threw, with {@code function_threw}.
   *
   * @return empty for another code
   */
  public Optional<FunctionError> error() {
    return Optional.ofNullable(Json.model(problem.get("error"), FunctionError.class));
  }

  /**
   * The child, once one was placed.
   *
   * @return empty when none was placed
   */
  public Optional<ChildReference> child() {
    return Optional.ofNullable(Json.model(problem.get("child"), ChildReference.class));
  }

  /**
   * The position of the input at fault, from 0 on, of an error of a map.
   *
   * @return empty for another call
   */
  public OptionalInt index() {
    return index < 0 ? OptionalInt.empty() : OptionalInt.of(index);
  }

  /**
   * The whole problem. A child that failed leaves its {@code exitCode}, {@code usage} and {@code
   * artifacts} here, and with {@code run} its {@code stdout} and {@code stderr}.
   *
   * @return a copy
   */
  public JsonNode problem() {
    return problem.deepCopy();
  }
}
