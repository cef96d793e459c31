package distributedpool.model;

import java.util.List;
import java.util.Map;

/**
 * A pool with its members.
 *
 * @param pool The name of a pool: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit.
 * @param members The members of the pool.
 * @param tasks Tasks that at least one member of the pool has.
 * @param runtimes Runtimes that at least one member of the pool has.
 */
public record Pool(
    String pool,
    List<PoolMember> members,
    List<String> tasks,
    List<String> runtimes
) {}

