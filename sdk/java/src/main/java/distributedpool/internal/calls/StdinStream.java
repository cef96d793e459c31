package distributedpool.internal.calls;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;

/** A child's input as a stream. It sends at each flush, and whenever it holds 256 KiB. */
public final class StdinStream extends OutputStream {
  /** Sends bytes to the child. */
  public interface Sender {
    void send(byte[] bytes, boolean end);
  }

  private final ByteArrayOutputStream held = new ByteArrayOutputStream();
  private final Sender sender;
  private boolean isClosed;

  public StdinStream(Sender sender) {
    this.sender = sender;
  }

  @Override
  public void write(int one) {
    write(new byte[] {(byte) one}, 0, 1);
  }

  @Override
  public void write(byte[] bytes, int offset, int length) {
    for (int from = offset, end = offset + length; from < end; ) {
      int count = Math.min(end - from, Stdin.PIECE_BYTES - held.size());
      held.write(bytes, from, count);
      from += count;
      if (held.size() == Stdin.PIECE_BYTES) flush();
    }
  }

  @Override
  public void flush() {
    if (held.size() > 0) send(false);
  }

  @Override
  public void close() {
    if (isClosed) return;
    isClosed = true;
    send(true);
  }

  private void send(boolean end) {
    byte[] bytes = held.toByteArray();
    held.reset();
    sender.send(bytes, end);
  }
}
