package distributedpool;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.internal.Waits;
import distributedpool.internal.calls.EventReader;
import distributedpool.internal.calls.ResumedEvents;
import distributedpool.internal.calls.Stdin;
import distributedpool.internal.calls.StdinStream;
import distributedpool.internal.http.Answer;
import distributedpool.internal.http.Ask;
import distributedpool.internal.http.Deadline;
import distributedpool.internal.http.Http;
import distributedpool.internal.http.Json;
import distributedpool.model.ChildInfo;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A handle on a child, which any process can make from the child's id. The child lives on when a
 * handle, or the process that has it, goes away.
 *
 * <p>An interrupt ends each wait with a {@code CancellationException}; the flag stays set. Each
 * method throws a {@link PoolException}: {@code child_forgotten} once the member has let go of the
 * child, {@code child_not_found}, and {@code member_lost} without an answer.
 *
 * <pre>{@code
 * Child child = pool.place("pipeline", Spec.command("sleep", "60"));
 * child.stop();
 * }</pre>
 */
public final class Child {
  /** 10 seconds for an answer, beside the time for which it waits. */
  private static final long ANSWER_MS = 10_000;
  private static final Set<String> NO_NAMES = Set.of("", ".", "..");

  private final String id;
  private final DistributedPool pool;

  Child(String id, DistributedPool pool) {
    this.id = id;
    this.pool = pool;
  }

  /**
   * The id, by which any process finds the child again.
   *
   * @return the id
   */
  public String id() {
    return id;
  }

  /**
   * The child as its member sees it now: its status, its labels, and how it ended.
   *
   * @return the child
   */
  public ChildInfo info() {
    return Waits.interruptibly(() -> info(Ask.get(url(""))));
  }

  /**
   * The child's events, from the first one that is kept.
   *
   * @return the events, which the caller closes
   */
  public EventStream events() {
    return events(0);
  }

  /**
   * The child's events behind one of them.
   *
   * @param after the id of the last event that was read; 0 for all that are kept
   * @return the events, which the caller closes
   */
  public EventStream events(long after) {
    ResumedEvents events = opened();
    Waits.interruptibly(() -> events.of(id, after));
    return new EventStream(events::next, events);
  }

  private ResumedEvents opened() {
    return new ResumedEvents(pool.http(), pool.access(), Deadline.in(-1));
  }

  /**
   * Waits until the child has ended by itself.
   *
   * @return how it ended, without its output
   * @throws PoolException when it failed, was stopped or was lost, by the codes of a call
   */
  public Result exit() {
    return Waits.interruptibly(() -> {
      try (ResumedEvents events = opened()) {
        events.of(id, 0);
        return Output.to(null, null, progress -> {}).read(events::next, each -> this);
      }
    });
  }

  /**
   * How the child ended, also when its events are no longer kept.
   *
   * @param waitMs milliseconds to wait for the end, at most 25,000
   * @return empty for a child that still runs
   * @throws PoolException as {@link #exit} does
   */
  public Optional<Result> result(long waitMs) {
    return Waits.interruptibly(() -> {
      String url = url("/result?waitMs=" + waitMs);
      try {
        Answer answer = pool.http().send(Ask.get(url).timeoutMs(waitMs + ANSWER_MS));
        if (answer.status() >= 400) throw pool.http().problem(answer);
        if (answer.status() == 204) return Optional.empty();
        JsonNode ending = answer.json("child");
        if (ending.has("problem")) throw EventReader.failure(ending);
        PoolEvent.Result event = EventReader.result(ending, 0);
        EventStream.Source one = () -> event;
        return Optional.of(Output.to(null, null, progress -> {}).read(one, each -> this));
      } catch (IOException error) {
        throw Http.noAnswer(url, error);
      }
    });
  }

  /**
   * Stops the child: TERM, the member's grace, KILL to its whole process tree. Returns at once; the
   * {@link #exit} tells when the child is gone.
   *
   * @return the child
   */
  public ChildInfo stop() {
    return Waits.interruptibly(() -> info(Ask.delete(url(""))));
  }

  /**
   * Stops the child with a grace of its own. Stopping it again can only shorten the grace.
   *
   * @param graceMs milliseconds between TERM and KILL; 0 kills at once
   * @return the child
   */
  public ChildInfo stop(long graceMs) {
    return Waits.interruptibly(() -> info(Ask.delete(url("?graceMs=" + graceMs))));
  }

  /**
   * Sends a signal to the child's program.
   *
   * @param name such as {@code SIGUSR1}
   * @return the child
   * @throws PoolException {@code invalid_request} for an unknown signal
   */
  public ChildInfo signal(String name) {
    ObjectNode body = Json.object().put("signal", name);
    return Waits.interruptibly(() -> info(Ask.post(url("/signal")).json(body)));
  }

  /**
   * Sets the size of the terminal of a child with {@code tty} in its spec. The programs in front get
   * SIGWINCH.
   *
   * @param rows 1 to 4,096
   * @param columns 1 to 4,096
   * @return the child
   * @throws PoolException {@code not_found} for a child without a terminal
   */
  public ChildInfo resize(int rows, int columns) {
    ObjectNode size = Json.object().put("rows", rows).put("columns", columns);
    return Waits.interruptibly(() -> info(Ask.post(url("/tty")).json(size)));
  }

  /**
   * Writes to the child's input, behind earlier writes and no faster than the child reads.
   *
   * @param bytes to write
   * @param end whether to close the input behind them
   * @return the number of bytes that the child's pipe has taken
   * @throws PoolException {@code stdin_closed} when the child takes no more
   */
  public long write(byte[] bytes, boolean end) {
    return Waits.interruptibly(() -> Stdin.write(pool.http(), url(""), bytes, end));
  }

  /**
   * The child's input as a stream. It sends what was written at each {@code flush()}, and whenever
   * it holds 256 KiB. To close it closes the input.
   *
   * @return the stream, whose errors are {@link PoolException}s
   */
  public OutputStream stdin() {
    return new StdinStream(this::write);
  }

  /**
   * Reads a file that the child left, once it has ended.
   *
   * @param path of the file in the workspace
   * @return the bytes, which the caller closes
   * @throws PoolException {@code not_found} without such a file
   */
  public InputStream file(String path) {
    List<String> names = new ArrayList<>();
    for (String name : path.split("/", -1)) {
      // A URL would lose these names, and lead elsewhere.
      if (NO_NAMES.contains(name))
        throw PoolException.of("not_found", "expected the path of an artifact; got " + path);
      names.add(URLEncoder.encode(name, StandardCharsets.UTF_8).replace("+", "%20"));
    }
    return Waits.interruptibly(() -> {
      String url = url("/files/" + String.join("/", names));
      try {
        Answer answer = pool.http().send(Ask.get(url).bytes());
        if (answer.status() != 200) throw pool.http().problem(answer);
        return answer.body().stream();
      } catch (IOException error) {
        throw Http.noAnswer(url, error);
      }
    });
  }

  private ChildInfo info(Ask ask) throws InterruptedException {
    return Json.model(pool.http().json(ask, "id"), ChildInfo.class);
  }

  private String url(String rest) throws InterruptedException {
    return pool.access().childUrl(id) + rest;
  }
}
