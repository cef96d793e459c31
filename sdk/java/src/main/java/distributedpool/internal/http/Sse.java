package distributedpool.internal.http;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Queue;

/**
 * Reads server-sent events. Lines are split as bytes, so a character of UTF-8 or a CRLF may be
 * split over pieces.
 */
public final class Sse {
  /** One event; the id is null where it has none. */
  public record Frame(String data, String id) {}

  private static final String BOM = "\ufeff";

  private final Queue<Frame> ready = new ArrayDeque<>();
  private final ByteArrayOutputStream line = new ByteArrayOutputStream();
  private StringBuilder data;
  private String id;
  private boolean isAfterCr;
  private boolean isFirst = true;

  /** Takes the next bytes. */
  public void feed(ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      byte next = bytes.get();
      boolean isLf = next == '\n';
      if (isLf && isAfterCr) {
        isAfterCr = false;
        continue;
      }
      isAfterCr = next == '\r';
      if (isLf || isAfterCr) {
        take(line.toString(StandardCharsets.UTF_8));
        line.reset();
      } else line.write(next);
    }
    int held = line.size() + (data == null ? 0 : data.length());
    if (held > Json.MAX_CHARS)
      throw new IOException("expected an event of at most " + Json.MAX_CHARS + " characters");
  }

  /** The next whole event; null where more bytes are needed. */
  public Frame next() {
    return ready.poll();
  }

  private void take(String raw) {
    String text = isFirst && raw.startsWith(BOM) ? raw.substring(1) : raw;
    isFirst = false;
    if (text.isEmpty()) {
      if (data != null) ready.add(new Frame(data.toString(), id));
      data = null;
      id = null;
      return;
    }
    int colon = text.indexOf(':');
    String field = colon < 0 ? text : text.substring(0, colon);
    String rest = colon < 0 ? "" : text.substring(colon + 1);
    String value = rest.startsWith(" ") ? rest.substring(1) : rest;
    if (field.equals("id") && value.indexOf('\0') < 0) id = value;
    if (!field.equals("data")) return;
    if (data == null) data = new StringBuilder(value);
    else data.append('\n').append(value);
  }
}
