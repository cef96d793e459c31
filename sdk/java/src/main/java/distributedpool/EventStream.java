package distributedpool;

import distributedpool.internal.Waits;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The events of a child, up to and with the terminal one. A cut stream resumes after its last
 * event.
 *
 * <p>Closing it ends the reading, also from another thread. The child lives on, unless it is
 * linked, or its input is a stream that has not ended.
 *
 * <pre>{@code
 * try (EventStream events = pool.stream("pipeline", Spec.command("date", "+%Y"))) {
 *   while (events.hasNext())
 *     if (events.next() instanceof PoolEvent.Stdout out) System.out.print(out.text());
 * }
 * }</pre>
 */
public final class EventStream implements Iterator<PoolEvent>, AutoCloseable {
  /** Where events come from; null behind the terminal one. */
  interface Source {
    PoolEvent next() throws InterruptedException;
  }

  private final Source source;
  private final AutoCloseable closing;
  private PoolEvent next;
  private boolean isOver;

  EventStream(Source source, AutoCloseable closing) {
    this.source = source;
    this.closing = closing;
  }

  /**
   * Waits for the next event.
   *
   * @return false behind the terminal event
   * @throws PoolException {@code member_lost} when the stream was cut for good; {@code
   *     events_expired} when it resumed too late
   * @throws CancellationException when the thread is interrupted, whose flag stays set, or the
   *     stream was closed
   */
  @Override
  public boolean hasNext() {
    if (next != null) return true;
    if (isOver) return false;
    next = Waits.interruptibly(source::next);
    isOver = next == null || next.isTerminal();
    return next != null;
  }

  @Override
  public PoolEvent next() {
    if (!hasNext()) throw new NoSuchElementException();
    PoolEvent event = next;
    next = null;
    return event;
  }

  /**
   * The events as a stream, which closes this one.
   *
   * @return the events
   */
  public Stream<PoolEvent> stream() {
    int traits = Spliterator.ORDERED | Spliterator.NONNULL;
    var events = Spliterators.spliteratorUnknownSize(this, traits);
    return StreamSupport.stream(events, false).onClose(this::close);
  }

  @Override
  public void close() {
    try {
      closing.close();
    } catch (RuntimeException error) {
      throw error;
    } catch (Exception error) {
      throw new IllegalStateException(error);
    }
  }
}
