package distributedpool.internal.calls;

import distributedpool.PoolException;
import distributedpool.internal.http.Ask;
import distributedpool.internal.http.Http;
import java.io.IOException;
import java.io.InputStream;

/** A call's input: one body, whose end is the end of the child's input. */
public final class Stdin implements Runnable {
  /** 256 KiB in one request of a child's {@code OutputStream}. */
  public static final int PIECE_BYTES = 262_144;

  private final Http http;
  private final String url;
  private final InputBody input;
  private volatile boolean isOver;
  private volatile PoolException fault;

  /** @param url of the child */
  Stdin(Http http, String url, InputStream input) {
    this.http = http;
    this.url = url;
    this.input = new InputBody(input, this::fail);
  }

  /**
   * Writes to a child's input.
   *
   * @param url of the child
   * @param end closes the input behind the bytes
   * @return the number of bytes that the child's pipe has taken
   */
  public static long write(Http http, String url, byte[] bytes, boolean end)
      throws InterruptedException {
    // No limit: the child may leave its input unread for as long as it lives.
    Ask ask = Ask.post(url + "/stdin?end=" + end).raw(bytes).timeoutMs(0);
    return http.json(ask, "bytes").get("bytes").asLong();
  }

  /** Sends the whole input. A child that lacks the rest of it is stopped. */
  @Override
  public void run() {
    try {
      // No limit: the child may leave its input unread for as long as it lives.
      http.json(Ask.post(url + "/stdin?end=true").stream(input).timeoutMs(0), "bytes");
    } catch (PoolException error) {
      if (!error.code().equals("stdin_closed")) stop(error);
    } catch (RuntimeException | InterruptedException error) {
      stop(error);
    }
    try {
      input.close();
    } catch (IOException unused) {
      // The child has all that it takes.
      return;
    }
  }

  /** Says that the child has ended, so that it need not be stopped. */
  void end() {
    isOver = true;
  }

  /** Why the child lacks the rest of its input; null where it does not. */
  PoolException fault() {
    return fault;
  }

  private synchronized void fail(Exception why) {
    if (fault != null || isOver) return;
    String detail = "stdin: " + Http.message(why) + "; a child cannot go on without its input";
    fault = PoolException.of("cancelled", detail, null, why);
  }

  /** A body that broke off has stopped the child already; a body that never began has not. */
  private void stop(Exception why) {
    fail(why);
    if (isOver) return;
    try {
      http.json(Ask.delete(url), null);
    } catch (PoolException | InterruptedException lost) {
      // The child's own ending tells what happened to it.
      return;
    }
  }
}
