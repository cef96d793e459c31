package distributedpool.internal.calls;

import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.PoolEvent;
import distributedpool.PoolException;
import distributedpool.internal.http.Deadline;
import distributedpool.internal.http.Http;
import distributedpool.internal.http.Part;
import distributedpool.model.ChildReference;
import java.io.InputStream;
import java.util.List;
import java.util.concurrent.CancellationException;

/** The events of a call, which is made again as the policy allows until it is placed. */
public final class CallEvents implements AutoCloseable {
  /** 30 seconds after its deadline, a call whose terminal event did not come is lost. */
  private static final long LATE_MS = 30_000;
  /** One week, the longest deadline. */
  private static final long MAX_DEADLINE_MS = 604_800_000;

  /**
   * A call.
   *
   * @param stdin sent while the output comes back; null for none
   * @param retries further tries for what certainly started nothing
   */
  public record Call(
      String pool, ObjectNode spec, List<Part> parts, InputStream stdin, int retries) {}

  private final Http http;
  private final Access access;
  private final Call call;
  private final Retries retries;
  private final Deadline until;
  private volatile ResumedEvents events;
  private volatile boolean isClosed;
  private boolean isPlaced;
  private ChildReference child;
  private Stdin input;
  private volatile Thread sending;

  public CallEvents(Http http, Access access, Call call) {
    this.http = http;
    this.access = access;
    this.call = call;
    this.retries = new Retries(call.retries, call.spec);
    long deadlineMs = call.spec.path("deadlineMs").asLong(MAX_DEADLINE_MS);
    this.until = Deadline.in(Math.max(0, Math.min(deadlineMs, MAX_DEADLINE_MS)) + LATE_MS);
  }

  /** The next event; null behind the terminal one. */
  public PoolEvent next() throws InterruptedException {
    for (; ; ) {
      try {
        if (events == null) events = open();
        PoolEvent event = events.next();
        return event == null ? null : noted(event);
      } catch (PoolException error) {
        closeEvents();
        if (isPlaced) throw error;
        retries.pauseAfter(error);
      }
    }
  }

  private ResumedEvents open() throws InterruptedException {
    if (isClosed) throw new CancellationException("the call was closed");
    ObjectNode spec = retries.next(call.spec);
    // An input of one body ends when the body breaks off.
    if (call.stdin != null) spec.putObject("stdin").put("open", true).put("once", true);
    ResumedEvents opened = new ResumedEvents(http, access, until);
    opened.from(access.call(call.pool, spec, call.parts));
    if (isClosed) opened.close();
    return opened;
  }

  private PoolEvent noted(PoolEvent event) throws InterruptedException {
    if (event instanceof PoolEvent.Placed placed) {
      isPlaced = true;
      child = placed.child();
      if (call.stdin != null) send(placed.child().id());
    }
    if (event.isTerminal() && child != null) access.ended(child);
    if (event.isTerminal() && input != null) {
      input.end();
      sending.interrupt();
    }
    if (!(event instanceof PoolEvent.Failed failed)) return event;
    PoolException error = failed.error();
    // A child without the rest of its input was stopped for that reason.
    boolean isStarved = input != null && input.fault() != null && error.code().equals("cancelled");
    if (isStarved) throw input.fault();
    if (isPlaced) return event;
    if (retries.allow(error)) throw error;
    return new PoolEvent.Failed(failed.id(), retries.known(error));
  }

  private void send(String child) throws InterruptedException {
    input = new Stdin(http, access.childUrl(child), call.stdin);
    sending = new Thread(input, "distributed-pool-stdin");
    sending.setDaemon(true);
    sending.start();
    if (isClosed) sending.interrupt();
  }

  private void closeEvents() {
    ResumedEvents open = events;
    events = null;
    if (open != null) open.close();
  }

  /** Closes the connection. The child lives on, unless it is linked, or its input has not ended. */
  @Override
  public void close() {
    isClosed = true;
    ResumedEvents open = events;
    if (open != null) open.close();
    if (sending != null) sending.interrupt();
  }
}
