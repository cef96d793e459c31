package distributedpool.model;

import java.util.List;
import java.util.Map;

/**
 * One sandboxed process of a pool.
 *
 * @param id The id of a child: the name of its member, a dot, and 32 hexadecimal digits.
 * @param pool The name of a pool: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit.
 * @param member The name of a member: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit.
 * @param url The URL of the child on its own member.
 * @param owner The caller that placed the child: the name of its token, `jwt:` and the `sub` of its JWT, or `anyone` where callers need no token.
 * @param status one of the words of the contract
 * @param kind one of the words of the contract
 * @param startedAt The time when the child got its slot.
 * @param deadlineAt The time when the child will be stopped; null if it has no deadline.
 * @param endedAt The time when the child's process ended; null while it runs.
 * @param exitCode The exit code of a child that has ended; 128 + n when signal n ended it. Null while it runs, and for a function that returned or threw.
 * @param code The code of the problem of a child that failed; null otherwise.
 * @param labels The names and values that the caller gave the child.
 * @param sandbox one of the words of the contract
 * @param name What runs, in short, for people: the file name of the program, the name of the task, or the export of the function; at most 128 characters. Absent from a member of an earlier version.
 * @param command The program and its arguments, for the caller that placed the child and the scope `admin`. What goes beyond 1,024 characters together is left out, and `…` takes its place. Absent for a function or a task, and for other callers.
 * @param progress one of the words of the contract
 * @param usage one of the words of the contract
 */
public record ChildInfo(
    String id,
    String pool,
    String member,
    String url,
    String owner,
    String status,
    String kind,
    String startedAt,
    String deadlineAt,
    String endedAt,
    Integer exitCode,
    String code,
    Map<String, String> labels,
    String sandbox,
    String name,
    List<String> command,
    Progress progress,
    Usage usage
) {}

