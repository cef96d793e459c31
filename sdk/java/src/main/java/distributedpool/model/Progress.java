package distributedpool.model;

import java.util.List;
import java.util.Map;

/**
 * The last progress that the child reported. Absent when there is none.
 *
 * @param done The amount that is done, in a unit that the child chooses. It may decrease, and may exceed a `total` that was a guess.
 * @param total The whole amount, in the same unit; absent when the child did not report it.
 * @param message One line for people, without control characters. The child wrote it. Absent when it did not.
 */
public record Progress(
    Double done,
    Double total,
    String message
) {}

