package distributedpool.model;

import java.util.List;
import java.util.Map;

/**
 * A member of a pool.
 *
 * @param member The name of a member: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit.
 * @param url The URL of the member.
 * @param version The version of the member's program.
 * @param sandbox one of the words of the contract
 * @param load The member's load; null when it did not answer in time.
 * @param state one of the words of the contract
 * @param detail For people: the reason for a state other than `up`.
 * @param startedAt The time when the member's process started. Absent while it does not answer.
 * @param drainEndsAt With `draining`: the time when children that still run are stopped.
 */
public record PoolMember(
    String member,
    String url,
    String version,
    String sandbox,
    Load load,
    String state,
    String detail,
    String startedAt,
    String drainEndsAt
) {}

