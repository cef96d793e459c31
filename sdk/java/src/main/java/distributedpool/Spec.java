package distributedpool;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.internal.calls.SpecSender;
import distributedpool.internal.http.Json;
import distributedpool.internal.http.Part;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The work of one child: a command, a function by its source, or a task. A spec does not change;
 * each method gives another one.
 *
 * <pre>{@code
 * Spec.command("tr", "a-z", "A-Z").stdin("quiet").deadlineMs(5_000);
 * Spec.function("lambda a, b: a + b", 1211, 1).runtime("python");
 * }</pre>
 */
public final class Spec {
  final ObjectNode json;
  final List<Part> parts;
  final InputStream input;
  final Integer retries;

  private Spec(ObjectNode json, List<Part> parts, InputStream input, Integer retries) {
    this.json = json;
    this.parts = parts;
    this.input = input;
    this.retries = retries;
  }

  /**
   * A program and its arguments; no shell reads them.
   *
   * @param argv the program, then its arguments
   * @return the spec
   */
  public static Spec command(String... argv) {
    return of(Json.object().set("command", Json.node(argv)));
  }

  /**
   * A function by its source: one JavaScript or TypeScript function expression, or an ES module
   * with an export. {@link #runtime} says when the source is of another language.
   *
   * @param source the source
   * @param args the arguments, which travel as JSON
   * @return the spec
   */
  public static Spec function(String source, Object... args) {
    ObjectNode function = Json.object().put("source", source).set("args", Json.node(args));
    return of(Json.object().set("function", function));
  }

  /**
   * A function that the operator installed on the members.
   *
   * @param name of the task
   * @param args the arguments, which travel as JSON
   * @return the spec
   */
  public static Spec task(String name, Object... args) {
    ObjectNode task = Json.object().put("name", name).set("args", Json.node(args));
    return of(Json.object().set("task", task));
  }

  /**
   * A spec as the contract has it, also with keys that this class does not name.
   *
   * @param json the spec
   * @return the spec
   */
  public static Spec of(JsonNode json) {
    if (json instanceof ObjectNode object)
      return new Spec(object.deepCopy(), List.of(), null, null);
    throw PoolException.of("invalid_request", "expected a child spec: a JSON object; got " + json);
  }

  /**
   * Sets any key of the contract's child spec.
   *
   * @param key such as {@code env}, {@code labels} or {@code limits}
   * @param value which travels as JSON
   * @return the spec
   */
  public Spec with(String key, Object value) {
    ObjectNode copy = json.deepCopy();
    copy.set(key, Json.node(value));
    return new Spec(copy, parts, input, retries);
  }

  /**
   * The runtime of a function's source, such as {@code python}. Default: {@code node}.
   *
   * @param name of the runtime
   * @return the spec
   */
  public Spec runtime(String name) {
    ObjectNode copy = json.deepCopy();
    if (!(copy.get("function") instanceof ObjectNode function))
      throw PoolException.of("invalid_request", "expected a function for a runtime; got " + json);
    function.put("runtime", name);
    return new Spec(copy, parts, input, retries);
  }

  /**
   * Sends the source of the function by its hash. A member that lacks it is sent it once.
   *
   * @return the spec
   */
  public Spec byHash() {
    ObjectNode copy = json.deepCopy();
    if (!(copy.get("function") instanceof ObjectNode function) || !function.has("source"))
      throw PoolException.of("invalid_request", "expected a function with a source; got " + json);
    function.put("hash", SpecSender.hash(function.get("source").asText()));
    return new Spec(copy, parts, input, retries);
  }

  /**
   * The child's input as text. Default: empty for a call, open for a placed child.
   *
   * @param text the whole input
   * @return the spec
   */
  public Spec stdin(String text) {
    return with("stdin", text);
  }

  /**
   * The input of a call, of any length. It is sent while the output comes back, no faster than the
   * child reads, and closed at the end. A stream that fails ends the call with {@code cancelled}.
   *
   * @param stream which is read once
   * @return the spec
   */
  public Spec stdin(InputStream stream) {
    return new Spec(json, parts, stream, retries);
  }

  /**
   * A file for the child's workspace, of this machine. It is read while it is sent.
   *
   * @param name its path in the workspace
   * @param file of this machine; it stays executable
   * @return the spec
   */
  public Spec file(String name, Path file) {
    return add(Part.of(name, file));
  }

  /**
   * A file for the child's workspace.
   *
   * @param name its path in the workspace
   * @param bytes its contents
   * @return the spec
   */
  public Spec file(String name, byte[] bytes) {
    return add(new Part(name, bytes, null));
  }

  private Spec add(Part part) {
    List<Part> all = new ArrayList<>(parts);
    all.add(part);
    return new Spec(json, List.copyOf(all), input, retries);
  }

  /**
   * Patterns of the files that the member keeps after the child's end. Default: none.
   *
   * @param patterns such as {@code out/*.png}
   * @return the spec
   */
  public Spec artifacts(String... patterns) {
    return with("artifacts", patterns);
  }

  /**
   * Milliseconds to wait for a slot. Default 0: a full pool refuses the call at once.
   *
   * @param ms milliseconds
   * @return the spec
   */
  public Spec waitMs(long ms) {
    return with("waitMs", ms);
  }

  /**
   * Milliseconds until the child is stopped, the wait included. Default: 5 minutes for a call, none
   * for a placed child; the operator can change both.
   *
   * @param ms milliseconds
   * @return the spec
   */
  public Spec deadlineMs(long ms) {
    return with("deadlineMs", ms);
  }

  /**
   * Stops the child when the caller's connection goes. Default: the child lives on.
   *
   * @return the spec
   */
  public Spec link() {
    return with("link", true);
  }

  /**
   * A key that starts one child at most, whoever sends it how often. Default: none.
   *
   * @param key 1 to 255 visible ASCII characters
   * @return the spec
   */
  public Spec idempotencyKey(String key) {
    return with("idempotencyKey", key);
  }

  /**
   * Further tries for what certainly started nothing. With a key, {@code member_lost} is repeated
   * too. Default 0; 5 for each input of a map.
   *
   * @param count the number of further tries
   * @return the spec
   */
  public Spec retries(int count) {
    if (count < 0)
      throw PoolException.of("invalid_request", "retries: expected at least 0; got " + count);
    return new Spec(json, parts, input, count);
  }

  /** The spec of one input of a map, whose one argument it is. */
  Spec withInput(Object value) {
    ObjectNode copy = json.deepCopy();
    ObjectNode work = (ObjectNode) (copy.has("task") ? copy.get("task") : copy.get("function"));
    work.putArray("args").add(Json.node(value));
    return new Spec(copy, parts, input, retries);
  }

  int furtherTries() {
    return retries == null ? 0 : retries;
  }

  /** The spec with a value for a key that it lacks. */
  Spec withDefault(String key, Object value) {
    return json.has(key) ? this : with(key, value);
  }
}
