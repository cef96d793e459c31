package distributedpool;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import distributedpool.internal.http.Json;
import distributedpool.model.Artifact;
import distributedpool.model.Usage;
import java.io.InputStream;
import java.util.List;

/**
 * How a child ended by itself.
 *
 * @param child a handle on it
 * @param value what the function returned; null for a command
 * @param exitCode of the command; null for a function
 * @param stdout with {@code run}: the output as text; bytes that are not UTF-8 become U+FFFD
 * @param stderr with {@code run}: the same
 * @param truncated with {@code run}: whether the child wrote more than 1 MiB to one of the two
 * @param usage the time and the memory that it took; null where the member did not say
 * @param artifacts the files that it left
 */
public record Result(
    Child child,
    JsonNode value,
    Integer exitCode,
    String stdout,
    String stderr,
    boolean truncated,
    Usage usage,
    List<Artifact> artifacts) {
  /**
   * The value of the function as a type of this program, by Jackson.
   *
   * @param type such as {@code Integer.class}, or a record
   * @param <T> the type
   * @return the value
   * @throws PoolException {@code function_threw} for a value of another form
   */
  public <T> T value(Class<T> type) {
    try {
      return value == null ? null : Json.MAPPER.treeToValue(value, type);
    } catch (JsonProcessingException error) {
      String detail = "expected a value of type " + type.getName() + "; got " + error.getMessage();
      throw PoolException.of("function_threw", detail, PoolException.Admitted.TRUE, error);
    }
  }

  /**
   * Reads a file that the child left.
   *
   * @param path one of {@link #artifacts()}
   * @return the bytes
   * @throws PoolException as {@link Child#file}
   */
  public InputStream file(String path) {
    return child.file(path);
  }
}
