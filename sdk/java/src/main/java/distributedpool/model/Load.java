package distributedpool.model;

import java.util.List;
import java.util.Map;

/**
 * How busy one member is in one pool.
 *
 * @param active Children that hold a slot now.
 * @param max Slots of this pool on this member (`maxChildren`); 0 while it drains.
 * @param queued Callers that wait for a slot of this pool on this member.
 */
public record Load(
    Long active,
    Long max,
    Long queued
) {}

