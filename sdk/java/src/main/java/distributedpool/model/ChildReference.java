package distributedpool.model;

import java.util.List;
import java.util.Map;

/**
 * A child, and where it runs.
 *
 * @param id The id of a child: the name of its member, a dot, and 32 hexadecimal digits.
 * @param pool The name of a pool: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit.
 * @param member The name of a member: 1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit.
 * @param url The URL of the child on its own member.
 */
public record ChildReference(
    String id,
    String pool,
    String member,
    String url
) {}

