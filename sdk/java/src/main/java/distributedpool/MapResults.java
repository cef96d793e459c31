package distributedpool;

import com.fasterxml.jackson.databind.JsonNode;
import distributedpool.internal.Waits;
import distributedpool.model.PoolMember;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * The results of a map, to be read once. Calls start while results are read, so a slow reader holds
 * back further calls. The first failure ends the map: it reads no more inputs and stops the other
 * calls.
 *
 * <pre>{@code
 * try (var squares = pool.map("pipeline", Spec.function("(n) => n * n"), List.of(1, 2, 3))) {
 *   while (squares.hasNext()) System.out.println(squares.next());
 * }
 * }</pre>
 */
public final class MapResults implements Iterator<JsonNode>, AutoCloseable {
  /** 500 calls at a time by default: a member admits 1,000 streams for each token by default. */
  private static final int MAX_CONCURRENCY = 500;
  /** The slots of the pool are counted again after 5 seconds: members join and leave. */
  private static final long COUNT_NANOS = 5_000_000_000L;
  private static final int RETRIES = 5;

  private record Done(int index, JsonNode value, Throwable error) {}

  private final DistributedPool pools;
  private final String pool;
  private final Spec spec;
  private final Iterator<?> inputs;
  private final String key;
  private final BlockingQueue<Done> done = new LinkedBlockingQueue<>();
  private final Map<Integer, CompletableFuture<Result>> running = new ConcurrentHashMap<>();
  private final Map<Integer, JsonNode> waiting = new HashMap<>();
  private boolean isOrdered = true;
  private int concurrency;
  private int slots;
  private long countedAt;
  private int started;
  private int given;
  private volatile boolean isClosed;

  MapResults(DistributedPool pools, String pool, Spec spec, Iterator<?> inputs) {
    JsonNode work = spec.json.has("task") ? spec.json.get("task") : spec.json.get("function");
    if (work == null || spec.input != null)
      throw PoolException.of("invalid_request", "expected a function or a task to map");
    if (work.path("args").size() > 0)
      throw PoolException.of("invalid_request", "expected no args: each input is the argument");
    this.pools = pools;
    this.pool = pool;
    this.inputs = inputs;
    this.key = spec.json.path("idempotencyKey").asText(null);
    Spec waiting = spec.withDefault("waitMs", 60_000).withDefault("link", true);
    this.spec = spec.retries == null ? waiting.retries(RETRIES) : waiting;
  }

  /**
   * Makes so many calls at a time. Default: the slots of the pool, counted every 5 seconds, up to
   * 500.
   *
   * @param calls at least 1
   * @return this map
   */
  public MapResults concurrency(int calls) {
    if (calls < 1)
      throw PoolException.of("invalid_request", "concurrency: expected at least 1; got " + calls);
    concurrency = calls;
    return this;
  }

  /**
   * Gives results as their calls end. Default: in the order of the inputs.
   *
   * @return this map
   */
  public MapResults unordered() {
    isOrdered = false;
    return this;
  }

  /**
   * Waits for the next result.
   *
   * @return false once all inputs have theirs
   * @throws PoolException the first failure of a call, with the position of its input as {@code
   *     index()}
   */
  @Override
  public boolean hasNext() {
    try {
      for (; ; ) {
        if (isClosed) return false;
        start();
        if (position() >= 0) return true;
        if (running.isEmpty()) return false;
        take(Waits.interruptibly(done::take));
      }
    } catch (RuntimeException error) {
      close();
      throw error;
    }
  }

  @Override
  public JsonNode next() {
    if (!hasNext()) throw new NoSuchElementException();
    int position = position();
    given += 1;
    return waiting.remove(position);
  }

  /**
   * All results that have not been read.
   *
   * @return the results
   */
  public List<JsonNode> toList() {
    List<JsonNode> all = new ArrayList<>();
    while (hasNext()) all.add(next());
    return all;
  }

  /** Stops the calls that still run, and reads no more inputs. */
  @Override
  public void close() {
    isClosed = true;
    for (CompletableFuture<Result> each : List.copyOf(running.values())) each.cancel(true);
    running.clear();
  }

  /** The position of a result that may be given; -1 for none. */
  private int position() {
    if (!isOrdered) return waiting.isEmpty() ? -1 : waiting.keySet().iterator().next();
    return waiting.containsKey(given) ? given : -1;
  }

  private void start() {
    for (int max = limit(); running.size() < max && running.size() + waiting.size() < 2 * max; ) {
      if (!inputs.hasNext()) return;
      int index = started++;
      Spec one = spec.withInput(inputs.next());
      Spec keyed = key == null ? one : one.idempotencyKey(key + "/" + index);
      CompletableFuture<Result> call = pools.callAsync(pool, keyed);
      running.put(index, call);
      call.whenComplete((result, error) ->
          done.add(new Done(index, result == null ? null : result.value(), error)));
    }
  }

  private void take(Done next) {
    running.remove(next.index);
    if (next.error instanceof PoolException error) throw error.at(next.index);
    if (next.error instanceof RuntimeException error) throw error;
    if (next.error instanceof Error error) throw error;
    waiting.put(next.index, next.value);
  }

  private int limit() {
    if (concurrency > 0) return concurrency;
    if (slots > 0 && System.nanoTime() - countedAt < COUNT_NANOS) return slots;
    countedAt = System.nanoTime();
    try {
      long max = 0;
      for (PoolMember each : pools.pool(pool).members())
        if (each.load() != null) max += each.load().max();
      slots = (int) Math.min(Math.max(max, 1), MAX_CONCURRENCY);
    } catch (PoolException error) {
      // Calls go on by the old number when the pool does not answer.
      if (slots == 0) throw error;
    }
    return slots;
  }
}
