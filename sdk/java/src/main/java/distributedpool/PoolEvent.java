package distributedpool;

import com.fasterxml.jackson.databind.JsonNode;
import distributedpool.model.Artifact;
import distributedpool.model.ChildReference;
import distributedpool.model.Usage;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;

/**
 * An event of a child's stream. Events of a type that this version does not know are skipped.
 *
 * <pre>{@code
 * if (event instanceof PoolEvent.Stdout out) System.out.print(out.text());
 * }</pre>
 */
public sealed interface PoolEvent {
  /**
   * The number of the event in the child's log, from 1 on; 0 for an event that is not kept.
   *
   * @return the number
   */
  long id();

  /**
   * Whether the event ends the stream.
   *
   * @return true for {@link Result} and {@link Failed}
   */
  default boolean isTerminal() {
    return this instanceof Result || this instanceof Failed;
  }

  /**
   * The call waits for a slot.
   *
   * @param id 0
   * @param position 1 for the next caller to be served
   */
  record Queued(long id, int position) implements PoolEvent {}

  /**
   * The child has a slot. It comes before all output.
   *
   * @param id its number
   * @param child the child, and where it runs
   */
  record Placed(long id, ChildReference child) implements PoolEvent {}

  /**
   * Standard output of the child.
   *
   * @param id its number
   * @param text the output as text; null for base64
   * @param base64 the output in base64; null for text
   * @param lossy whether U+FFFD replaces bytes that were not UTF-8
   */
  record Stdout(long id, String text, String base64, boolean lossy) implements PoolEvent {
    /**
     * The output as bytes.
     *
     * @return the bytes
     */
    public byte[] bytes() {
      return bytesOf(text, base64);
    }
  }

  /**
   * Standard error of the child.
   *
   * @param id its number
   * @param text the output as text; null for base64
   * @param base64 the output in base64; null for text
   * @param lossy whether U+FFFD replaces bytes that were not UTF-8
   */
  record Stderr(long id, String text, String base64, boolean lossy) implements PoolEvent {
    /**
     * The output as bytes.
     *
     * @return the bytes
     */
    public byte[] bytes() {
      return bytesOf(text, base64);
    }
  }

  /**
   * Progress that the child reports.
   *
   * @param id its number
   * @param done the amount that is done
   * @param total the whole amount; null where the child did not say it
   * @param message one line for people; null for none
   */
  record Progress(long id, double done, Double total, String message) implements PoolEvent {}

  /**
   * The reader missed output, which is no longer kept.
   *
   * @param id its number
   * @param droppedBytes the number of bytes
   */
  record Gap(long id, long droppedBytes) implements PoolEvent {}

  /**
   * The child ended by itself.
   *
   * @param id its number
   * @param value what the function returned; null for a command
   * @param exitCode of the command; null for a function
   * @param usage the resources that it took
   * @param artifacts the files that it left
   */
  record Result(
      long id, JsonNode value, Integer exitCode, Usage usage, List<Artifact> artifacts)
      implements PoolEvent {}

  /**
   * The child, or its placement, failed.
   *
   * @param id its number
   * @param error the reason, with what the child left
   */
  record Failed(long id, PoolException error) implements PoolEvent {}

  private static byte[] bytesOf(String text, String base64) {
    if (base64 != null) return Base64.getDecoder().decode(base64);
    return (text == null ? "" : text).getBytes(StandardCharsets.UTF_8);
  }
}
