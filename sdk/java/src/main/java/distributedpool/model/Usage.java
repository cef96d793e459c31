package distributedpool.model;

import java.util.List;
import java.util.Map;

/**
 * The resources that the child took, so far while it runs. Absent when they are not measured yet.
 *
 * @param wallMs Milliseconds from placement to the end of the process.
 * @param cpuMs Milliseconds of user and system time of all processes of the child, with the start of its sandbox; null when the member cannot measure it (a command without a cgroup).
 * @param maxRssBytes The most bytes of memory that all processes of the child and its workspace took at any time; null when the member cannot measure it (a command without a cgroup).
 */
public record Usage(
    Double wallMs,
    Double cpuMs,
    Long maxRssBytes
) {}

