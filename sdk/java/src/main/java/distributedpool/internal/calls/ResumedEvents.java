package distributedpool.internal.calls;

import distributedpool.PoolEvent;
import distributedpool.PoolException;
import distributedpool.PoolException.Admitted;
import distributedpool.internal.http.Answer;
import distributedpool.internal.http.Ask;
import distributedpool.internal.http.Deadline;
import distributedpool.internal.http.Errors;
import distributedpool.internal.http.Http;
import distributedpool.internal.http.Json;
import distributedpool.model.ChildReference;
import java.io.IOException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ThreadLocalRandom;

/**
 * A child's events over cuts of the connection: none is lost, and none comes twice. The request
 * that placed the child is never sent again.
 */
public final class ResumedEvents implements AutoCloseable {
  /** After a cut, a child counts as lost once its stream could not be reopened 6 times in a row. */
  private static final int TRIES = 6;
  /** 100 ms before the first try, give or take a half; each further pause is twice as long. */
  private static final long FIRST_PAUSE_MS = 100;
  private static final long HEARTBEAT_MS = 10_000;

  private final Http http;
  private final ChildLocator locator;
  private final Deadline until;
  private volatile EventReader reader;
  private volatile boolean isClosed;
  private String id;
  private long after;
  private String direct;
  private int tries;
  private long openedAt;
  private boolean isOver;

  /** @param until the time after which the stream is lost, whatever comes */
  public ResumedEvents(Http http, ChildLocator locator, Deadline until) {
    this.http = http;
    this.locator = locator;
    this.until = until;
  }

  /** Reads on from an open answer. */
  public ResumedEvents from(Answer answer) {
    openedAt = System.nanoTime();
    isOver = answer.status() == 204;
    reader = new EventReader(answer.body(), until);
    if (isClosed) reader.close();
    return this;
  }

  /**
   * Reads the events of a child.
   *
   * @param last the id of the last event that was read; 0 for all that are kept
   */
  public ResumedEvents of(String child, long last) throws InterruptedException {
    id = child;
    after = last;
    String url = locator.childUrl(child);
    try {
      return from(open(url));
    } catch (IOException error) {
      throw Http.noAnswer(url, error);
    }
  }

  /**
   * The next event; null behind the terminal one.
   *
   * @throws PoolException {@code member_lost} when the stream was cut and cannot resume; {@code
   *     events_expired} when the member no longer keeps the events that are missing
   * @throws CancellationException once the stream was closed
   */
  public PoolEvent next() throws InterruptedException {
    for (; ; ) {
      if (isClosed) throw new CancellationException("the stream was closed");
      if (isOver) return null;
      try {
        PoolEvent event = reader.next();
        requireOwner(event);
        if (event instanceof PoolEvent.Placed placed) id = placed.child().id();
        if (event.id() > 0) after = event.id();
        tries = 0;
        if (event.isTerminal()) {
          isOver = true;
          reader.finish();
        }
        return event;
      } catch (PoolException cut) {
        reader.close();
        if (isClosed) throw new CancellationException("the stream was closed");
        // The same event would come again.
        boolean isLasting = cut.code().equals(Json.TOO_LARGE);
        if (id == null || isLasting) throw cut;
        reopen(cut);
      }
    }
  }

  @Override
  public void close() {
    isClosed = true;
    EventReader open = reader;
    if (open != null) open.close();
  }

  /** A gateway that leaves ends its answer with an event that names the child, which runs on. */
  private void requireOwner(PoolEvent event) {
    if (!(event instanceof PoolEvent.Failed failed)) return;
    ChildReference child = failed.error().child().orElse(null);
    if (child == null || !failed.error().code().equals("draining")) return;
    id = child.id();
    direct = locator.directUrl(child);
    throw failed.error();
  }

  private void reopen(PoolException cut) throws InterruptedException {
    // A child may be silent for longer than any connection lasts.
    if (System.nanoTime() - openedAt > HEARTBEAT_MS * 1_000_000) tries = 0;
    for (; tries < TRIES && !until.hasPassed() && !isClosed; tries++) {
      long pause = FIRST_PAUSE_MS << tries;
      Thread.sleep(pause / 2 + ThreadLocalRandom.current().nextLong(pause));
      try {
        from(openBehind());
        tries++;
        return;
      } catch (PoolException error) {
        if (!error.retryable() && !error.code().equals("draining")) throw admitted(error);
      } catch (IOException error) {
        // A member whose port is closed took its children along.
        if (locator.asksOwners() && Http.neverSent(error)) throw admitted(cut);
      }
    }
    if (isClosed) throw new CancellationException("the stream was closed");
    throw admitted(cut);
  }

  private Answer openBehind() throws IOException, InterruptedException {
    if (direct != null)
      try {
        return open(direct);
      } catch (PoolException | IOException error) {
        direct = null;
      }
    return open(locator.childUrl(id));
  }

  private Answer open(String url) throws IOException, InterruptedException {
    Ask ask = Ask.get(url + "/events").events();
    if (after > 0) ask.header("last-event-id", String.valueOf(after));
    Answer answer = http.send(ask);
    if (answer.status() >= 400) throw http.problem(answer);
    return answer;
  }

  /** The same error of a child that is known, so that its call is never sent again. */
  private static PoolException admitted(PoolException error) {
    boolean isOpen = error.code().equals("draining") && !error.problem().has("admitted");
    boolean isLost = error.code().equals("member_lost");
    return isOpen || isLost ? Errors.with(Admitted.TRUE, error) : error;
  }
}
