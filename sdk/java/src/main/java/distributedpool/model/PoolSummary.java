package distributedpool.model;

import java.util.List;
import java.util.Map;

/**
 * A pool and its size.
 *
 * @param pool The name of a pool: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit.
 * @param members The members that admit children.
 * @param max The slots of the members that admit children, together.
 * @param draining The members that drain. Absent from a member of an earlier version.
 * @param lost The members that are lost or sick. Absent from a member of an earlier version.
 */
public record PoolSummary(
    String pool,
    Long members,
    Long max,
    Long draining,
    Long lost
) {}

