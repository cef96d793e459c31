package distributedpool.model;

import java.util.List;
import java.util.Map;

/**
 * A pool and its size.
 *
 * @param pool The name of a pool: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit.
 * @param members The number of its members.
 * @param max The number of slots of all its members together.
 */
public record PoolSummary(
    String pool,
    Long members,
    Long max
) {}

