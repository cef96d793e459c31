package distributedpool.internal.calls;

import distributedpool.PoolException;
import distributedpool.internal.http.Ask;
import distributedpool.internal.http.Http;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/** A child's input, which is sent in pieces, no faster than the child reads. */
public final class Stdin implements Runnable {
  /** 256 KiB in one request. */
  public static final int PIECE_BYTES = 262_144;

  private final Http http;
  private final String url;
  private final InputStream input;
  private volatile boolean isOver;
  private volatile PoolException fault;

  /** @param url of the child */
  Stdin(Http http, String url, InputStream input) {
    this.http = http;
    this.url = url;
    this.input = input;
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
    try (input) {
      byte[] piece = new byte[PIECE_BYTES];
      for (int count; (count = input.read(piece)) >= 0; )
        if (count > 0) write(http, url, Arrays.copyOf(piece, count), false);
      write(http, url, new byte[0], true);
    } catch (PoolException error) {
      if (!error.code().equals("stdin_closed")) stop(error);
    } catch (IOException | RuntimeException error) {
      stop(error);
    } catch (InterruptedException left) {
      stop(left);
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

  private void stop(Exception why) {
    if (isOver) return;
    String detail = "stdin: " + Http.message(why) + "; a child cannot go on without its input";
    fault = PoolException.of("cancelled", detail, null, why);
    try {
      http.json(Ask.delete(url), null);
    } catch (PoolException | InterruptedException lost) {
      // The child's own ending tells what happened to it.
      return;
    }
  }
}
