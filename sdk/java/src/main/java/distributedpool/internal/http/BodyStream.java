package distributedpool.internal.http;

import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;

/** The body of an answer as a stream, such as an artifact. */
final class BodyStream extends InputStream {
  private final Body body;
  private ByteBuffer piece = ByteBuffer.allocate(0);

  BodyStream(Body body) {
    this.body = body;
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] into, int offset, int length) throws IOException {
    if (length == 0) return 0;
    if (!piece.hasRemaining()) {
      try {
        piece = body.read(0);
      } catch (InterruptedException interrupt) {
        Thread.currentThread().interrupt();
        throw new InterruptedIOException();
      }
      if (piece == null) {
        piece = ByteBuffer.allocate(0);
        return -1;
      }
    }
    int count = Math.min(length, piece.remaining());
    piece.get(into, offset, count);
    return count;
  }

  @Override
  public void close() {
    body.close();
  }
}
