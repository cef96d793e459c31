package distributedpool.internal.placement;

import distributedpool.PoolException;
import distributedpool.internal.calls.SpecSender.Posted;
import distributedpool.internal.http.Answer;
import distributedpool.internal.http.Codes;
import java.util.Optional;
import java.util.Set;

/** The outcome of one try to be admitted. The load is null where the answer told none. */
sealed interface Admission {
  /** Refusals of a member that lacks the task or the runtime, or cannot start the child. */
  Set<String> UNFIT = Set.of("task_not_found", "runtime_not_found", "sandbox_unavailable");
  /** Refusals that concern the caller, who gets one when no member answers better. */
  Set<String> ABOUT_CALLER = Set.of("unauthorized", "forbidden", "too_many_requests", "overloaded");
  /** Refusals of a member that has no slot to give now. */
  Set<String> FULL = Set.of("at_capacity", "draining", "fenced");
  /** Further refusals that say that nothing was run. */
  Set<String> ELSEWHERE = Set.of("slot_not_found", "pool_not_found");

  Load load();

  record Admitted(Answer answer, Load load) implements Admission {}

  /** The member is at capacity; or `closed` says why it admits nothing, such as a drain. */
  record Full(PoolException closed, Load load) implements Admission {}

  /** The request did not reach the member, or was refused for another reason; nothing was run. */
  record Unreachable(Throwable why, Load load) implements Admission {}

  /** The meaning of an answer. @throws PoolException a refusal that would be the same elsewhere */
  static Admission of(Posted posted) {
    PoolException refusal = posted.refusal();
    if (refusal == null) {
      Answer answer = posted.answer();
      return new Admitted(answer, Load.of(answer.header(Load.HEADER, "")));
    }
    Load load = Load.of(refusal.problem().path("load"));
    if (refusal.code().equals("at_capacity")) return new Full(null, load);
    if (FULL.contains(refusal.code())) return new Full(refusal, load);
    if (mayTryElsewhere(refusal)) return new Unreachable(refusal, load);
    throw refusal;
  }

  /** A code of a newer member says nothing, but a refused admission runs nothing as a rule. */
  private static boolean mayTryElsewhere(PoolException refusal) {
    Optional<PoolException.Admitted> admitted = refusal.admitted();
    if (admitted.isPresent()) return admitted.get() == PoolException.Admitted.FALSE;
    String code = refusal.code();
    return UNFIT.contains(code) || ELSEWHERE.contains(code) || !Codes.isKnown(code);
  }

  /** The error itself, if it is a refusal that concerns the caller; else null. */
  static PoolException refusalIn(Throwable error) {
    if (!(error instanceof PoolException known)) return null;
    String code = known.code();
    boolean concerns = ABOUT_CALLER.contains(code) || UNFIT.contains(code) || !Codes.isKnown(code);
    return concerns ? known : null;
  }
}
