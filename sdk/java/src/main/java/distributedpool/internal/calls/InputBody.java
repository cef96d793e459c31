package distributedpool.internal.calls;

import java.io.IOException;
import java.io.InputStream;
import java.net.http.HttpRequest.BodyPublisher;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.concurrent.Flow;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;

/**
 * A stream as the body of one request. A thread of its own reads it, no faster than the connection
 * takes it, so that the request can be cancelled while a read blocks. The JDK's own publisher takes
 * a read that fails for the end of the stream.
 */
final class InputBody implements BodyPublisher, Flow.Subscription, AutoCloseable {
  private static final int PIECE_BYTES = 65_536;

  private final InputStream input;
  private final Consumer<Exception> onFault;
  private final Semaphore demand = new Semaphore(0);
  private volatile Thread reading;
  private volatile boolean isOver;

  /** @param onFault receives why a read failed, before the connection breaks off */
  InputBody(InputStream input, Consumer<Exception> onFault) {
    this.input = input;
    this.onFault = onFault;
  }

  @Override
  public long contentLength() {
    return -1;
  }

  @Override
  public void subscribe(Flow.Subscriber<? super ByteBuffer> subscriber) {
    reading = new Thread(() -> read(subscriber), "distributed-pool-input");
    reading.setDaemon(true);
    subscriber.onSubscribe(this);
    reading.start();
  }

  @Override
  public void request(long count) {
    demand.release((int) Math.min(count, Short.MAX_VALUE));
  }

  @Override
  public void cancel() {
    isOver = true;
    Thread thread = reading;
    if (thread != null) thread.interrupt();
  }

  private void read(Flow.Subscriber<? super ByteBuffer> subscriber) {
    byte[] piece = new byte[PIECE_BYTES];
    try {
      for (int count = 0; count >= 0 && !isOver; ) {
        if (count > 0) subscriber.onNext(ByteBuffer.wrap(Arrays.copyOf(piece, count)));
        demand.acquire();
        do count = input.read(piece);
        while (count == 0);
      }
      if (!isOver) subscriber.onComplete();
    } catch (IOException | RuntimeException | InterruptedException error) {
      if (isOver) return;
      onFault.accept(error);
      subscriber.onError(error);
    }
  }

  /** Ends the reading, and closes the stream. */
  @Override
  public void close() throws IOException {
    cancel();
    input.close();
  }
}
