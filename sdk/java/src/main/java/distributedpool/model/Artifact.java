package distributedpool.model;

import java.util.List;
import java.util.Map;

/**
 * A file that a child left. `/children/{id}/files/{path}` has its bytes.
 *
 * @param path The path of the file in the workspace.
 * @param bytes The size of the file in bytes.
 */
public record Artifact(
    String path,
    Long bytes
) {}

