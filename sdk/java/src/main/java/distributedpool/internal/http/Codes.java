package distributedpool.internal.http;

import java.util.Map;
import java.util.Set;

/** The codes that this version knows, with their statuses. A test compares the contract. */
public final class Codes {
  /** Nothing was run under a code of these statuses. */
  private static final Set<Integer> RETRYABLE = Set.of(408, 429, 503);

  private static final Map<String, Integer> STATUSES =
      Map.ofEntries(
          Map.entry("invalid_request", 400),
          Map.entry("unauthorized", 401),
          Map.entry("forbidden", 403),
          Map.entry("not_found", 404),
          Map.entry("pool_not_found", 404),
          Map.entry("child_not_found", 404),
          Map.entry("child_forgotten", 410),
          Map.entry("slot_not_found", 404),
          Map.entry("task_not_found", 404),
          Map.entry("runtime_not_found", 404),
          Map.entry("method_not_allowed", 405),
          Map.entry("not_acceptable", 406),
          Map.entry("unsupported_media_type", 415),
          Map.entry("range_not_satisfiable", 416),
          Map.entry("source_unknown", 409),
          Map.entry("idempotency_conflict", 409),
          Map.entry("stdin_closed", 409),
          Map.entry("fetch_failed", 502),
          Map.entry("events_expired", 410),
          Map.entry("payload_too_large", 413),
          Map.entry("request_timeout", 408),
          Map.entry("too_many_requests", 429),
          Map.entry("function_threw", 422),
          Map.entry("at_capacity", 503),
          Map.entry("all_members_at_capacity", 503),
          Map.entry("no_members_available", 503),
          Map.entry("queue_timeout", 503),
          Map.entry("draining", 503),
          Map.entry("overloaded", 503),
          Map.entry("idempotency_unavailable", 503),
          Map.entry("fenced", 503),
          Map.entry("worker_crashed", 502),
          Map.entry("out_of_memory", 502),
          Map.entry("cancelled", 502),
          Map.entry("member_lost", 502),
          Map.entry("deadline_exceeded", 504),
          Map.entry("sandbox_unavailable", 500),
          Map.entry("internal_error", 500));

  private Codes() {}

  /** Whether this version knows the code. */
  public static boolean isKnown(String code) {
    return STATUSES.containsKey(code);
  }

  /** Whether the code says that nothing was run. */
  public static boolean isRetryable(String code) {
    return isKnown(code) && RETRYABLE.contains(status(code));
  }

  /** The HTTP status of a known code. */
  public static int status(String code) {
    return STATUSES.getOrDefault(code, 500);
  }
}
