package distributedpool.internal.http;

import java.io.IOException;
import java.io.InputStream;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * The body of an answer, read no faster than its reader takes it. Each wait has a limit and ends
 * with an interrupt, which the JDK's own stream does not offer.
 */
public final class Body implements HttpResponse.BodySubscriber<Body> {
  private static final Object END = new Object();

  private final BlockingQueue<Object> arrived = new LinkedBlockingQueue<>();
  private final Queue<ByteBuffer> pieces = new ArrayDeque<>();
  private final Runnable onEnd;
  private Flow.Subscription subscription;
  private boolean isClosed;
  private boolean isOver;

  Body(Runnable onEnd) {
    this.onEnd = onEnd;
  }

  @Override
  public CompletionStage<Body> getBody() {
    return CompletableFuture.completedFuture(this);
  }

  @Override
  public synchronized void onSubscribe(Flow.Subscription given) {
    subscription = given;
    if (isClosed) given.cancel();
    else given.request(1);
  }

  @Override
  public void onNext(List<ByteBuffer> buffers) {
    arrived.add(buffers);
  }

  @Override
  public void onError(Throwable error) {
    arrived.add(error);
  }

  @Override
  public void onComplete() {
    arrived.add(END);
  }

  /**
   * The next bytes; null at the end.
   *
   * @param silenceMs milliseconds to wait for them; 0 for no limit
   * @throws IOException when the connection broke, or nothing came for that long
   */
  public ByteBuffer read(long silenceMs) throws IOException, InterruptedException {
    for (; ; ) {
      ByteBuffer piece = pieces.poll();
      if (piece != null && piece.hasRemaining()) return piece;
      if (piece != null) continue;
      if (isOver) return null;
      Object next = silenceMs == 0 ? arrived.take() : poll(silenceMs);
      if (next instanceof List<?> buffers) {
        for (Object each : buffers) pieces.add((ByteBuffer) each);
        request();
      } else if (next == END) {
        isOver = true;
        onEnd.run();
      } else if (next instanceof Throwable error) {
        close();
        throw error instanceof IOException known ? known : new IOException(error);
      }
    }
  }

  /** Reads the rest, and drops it. */
  void finish() throws IOException, InterruptedException {
    while (read(Http.SILENCE_MS) != null) {}
  }

  private Object poll(long silenceMs) throws IOException, InterruptedException {
    Object next = arrived.poll(silenceMs, TimeUnit.MILLISECONDS);
    if (next == null) {
      close();
      throw new IOException("nothing came for " + silenceMs + " ms");
    }
    return next;
  }

  private synchronized void request() {
    if (!isClosed) subscription.request(1);
  }

  /** Closes the connection, unless the body has been read to its end. */
  public void close() {
    synchronized (this) {
      if (isClosed) return;
      isClosed = true;
      if (subscription != null) subscription.cancel();
    }
    onEnd.run();
    arrived.add(new IOException("the connection was closed here"));
  }

  /** The body as a stream without a limit of time. */
  public InputStream stream() {
    return new BodyStream(this);
  }
}
