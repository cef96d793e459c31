package distributedpool;

import distributedpool.internal.Waits;
import distributedpool.internal.calls.Access;
import distributedpool.internal.calls.CallEvents;
import distributedpool.internal.calls.Listing;
import distributedpool.internal.calls.Placing;
import distributedpool.internal.consul.Names;
import distributedpool.internal.http.Http;
import distributedpool.model.ChildInfo;
import distributedpool.model.Pool;
import distributedpool.model.PoolSummary;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;

/**
 * Pools of machines: calls run on the least loaded member of a pool.
 *
 * <pre>{@code
 * try (var pool = DistributedPool.at("http://127.0.0.1:7400")) {
 *   Result sum = pool.call("pipeline", Spec.function("(a, b) => a + b", 1211, 1));
 *   System.out.println(sum.value(Integer.class));
 * }
 * }</pre>
 *
 * <p>An interrupt ends each wait with a {@link CancellationException}; the thread's flag stays set.
 * The child lives on, unless its spec has {@code link}. A call that may have been admitted is never
 * sent again without its key; a stream that was cut resumes after its last event.
 *
 * <p>Each verb throws a {@link PoolException}, among others with the codes {@code
 * all_members_at_capacity}, {@code queue_timeout}, {@code no_members_available}, {@code
 * pool_not_found}, {@code member_lost}, {@code invalid_request}, {@code unauthorized} and {@code
 * forbidden}. All methods may be used by several threads.
 */
public final class DistributedPool implements AutoCloseable {
  private final PoolBuilder options;
  private final Http http;
  private final Access access;

  DistributedPool(PoolBuilder options, Http http, Access access) {
    this.options = options;
    this.http = http;
    this.access = access;
  }

  /**
   * Begins with the options.
   *
   * @return a builder
   */
  public static PoolBuilder builder() {
    return new PoolBuilder();
  }

  /**
   * The pools behind one member.
   *
   * @param url of the member
   * @return the pools, which the caller closes
   */
  public static DistributedPool at(String url) {
    return builder().url(url).build();
  }

  /**
   * The pools that Consul lists, where its own variables say.
   *
   * @return the pools, which the caller closes
   */
  public static DistributedPool fromConsul() {
    return builder().consul(ConsulOptions.from(System.getenv())).build();
  }

  /**
   * Runs a function, a task or a command, and copies its output to {@code System.out} and {@code
   * System.err} as it arrives. A non-zero exit code is a result, not an error.
   *
   * @param pool the name of the pool
   * @param spec what to run
   * @return the value or the exit code
   * @throws PoolException also {@code function_threw}, {@code deadline_exceeded}, {@code
   *     cancelled}, {@code worker_crashed}, {@code out_of_memory}; {@code
   *     events_expired} when output was lost
   */
  public Result call(String pool, Spec spec) {
    return Waits.interruptibly(() -> called(pool, spec));
  }

  private Result called(String pool, Spec spec) throws InterruptedException {
    return read(pool, spec, Output.to(options.stdout, options.stderr, options.onProgress));
  }

  /**
   * Makes a call like {@link #call}, and returns its output.
   *
   * @param pool the name of the pool
   * @param spec what to run
   * @return the value or the exit code, and the output
   */
  public Result run(String pool, Spec spec) {
    return Waits.interruptibly(() -> read(pool, spec, Output.kept()));
  }

  /**
   * Makes a call like {@link #call} on another thread. To cancel the future ends the wait.
   *
   * @param pool the name of the pool
   * @param spec what to run
   * @return the result to come
   */
  public CompletableFuture<Result> callAsync(String pool, Spec spec) {
    return Waits.async(() -> called(pool, spec));
  }

  /**
   * Makes a call like {@link #run} on another thread. To cancel the future ends the wait.
   *
   * @param pool the name of the pool
   * @param spec what to run
   * @return the result to come
   */
  public CompletableFuture<Result> runAsync(String pool, Spec spec) {
    return Waits.async(() -> read(pool, spec, Output.kept()));
  }

  private Result read(String pool, Spec spec, Output output) throws InterruptedException {
    // As base64, the bytes that are copied here are the bytes that the child wrote.
    try (CallEvents events = events(pool, spec.withDefault("outputEncoding", "base64"))) {
      return output.read(events::next, this::child);
    }
  }

  private CallEvents events(String pool, Spec spec) {
    int retries = spec.furtherTries();
    var call = new CallEvents.Call(pool, spec.json, spec.parts, spec.input, retries);
    return new CallEvents(http, access, call);
  }

  /**
   * Makes a call, and gives its events: {@code Queued} while it waits, {@code Placed} before all
   * output, and one terminal event. A child that fails ends the stream with {@code Failed}.
   *
   * @param pool the name of the pool
   * @param spec what to run
   * @return the events, which the caller closes; the first one has arrived
   */
  public EventStream stream(String pool, Spec spec) {
    CallEvents events = events(pool, spec);
    EventStream stream = new EventStream(events::next, events);
    try {
      stream.hasNext();
      return stream;
    } catch (RuntimeException error) {
      events.close();
      throw error;
    }
  }

  /**
   * Places a child that lives on its own: it outlives this caller, and has no deadline unless the
   * spec has one. Returns when a member has admitted it.
   *
   * @param pool the name of the pool
   * @param spec what to run
   * @return a handle on the child
   */
  public Child place(String pool, Spec spec) {
    if (spec.input != null)
      throw PoolException.of(
          "invalid_request", "stdin: expected no stream for a placed child; Child.stdin() is one");
    Placing placing = new Placing(access, pool, spec.json, spec.parts);
    return Waits.interruptibly(() -> child(placing.place(spec.furtherTries())));
  }

  /**
   * A handle on a child by its id. It sends no request yet.
   *
   * @param id of the child
   * @return the handle
   */
  public Child child(String id) {
    return new Child(id, this);
  }

  /**
   * Calls a function or a task once for each input, which is its one argument. As many calls run as
   * the pool has slots; each waits for a slot for up to 60 seconds, and its child is linked.
   *
   * @param pool the name of the pool
   * @param spec a function or a task without arguments
   * @param inputs are read one by one, as calls may start
   * @return the results, which the caller reads once and closes
   * @throws PoolException {@code invalid_request} for a command, or a spec with arguments
   */
  public MapResults map(String pool, Spec spec, Iterable<?> inputs) {
    return new MapResults(this, pool, spec, inputs.iterator());
  }

  /**
   * The pools that have members.
   *
   * @return the pools, with the number of their members and slots
   */
  public List<PoolSummary> pools() {
    return Waits.interruptibly(
        () -> new Listing(http, access).all("/pools", "", "pools", PoolSummary.class));
  }

  /**
   * A pool's members with their load, its tasks and its runtimes.
   *
   * @param pool the name of the pool
   * @return the pool
   */
  public Pool pool(String pool) {
    String path = "/pools/" + Names.pool(pool);
    return Waits.interruptibly(() -> new Listing(http, access).one(path, "members", Pool.class));
  }

  /**
   * A pool's children on all its members, also those that have ended and are remembered.
   *
   * @param pool the name of the pool
   * @param filters that a child passes all of; none for all children
   * @return the children
   */
  public List<ChildInfo> children(String pool, ChildFilter... filters) {
    String path = "/pools/" + Names.pool(pool) + "/children";
    String query = ChildFilter.query(filters);
    return Waits.interruptibly(
        () -> new Listing(http, access).all(path, query, "children", ChildInfo.class));
  }

  /** Closes the connections and the watch. Calls that are under way end with an error. */
  @Override
  public void close() {
    access.close();
    http.close();
  }

  Http http() {
    return http;
  }

  Access access() {
    return access;
  }
}
