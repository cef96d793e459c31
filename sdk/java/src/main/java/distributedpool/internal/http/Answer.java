package distributedpool.internal.http;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.http.HttpHeaders;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** The head of an answer, and the body that its reader reads or closes. */
public record Answer(int status, HttpHeaders headers, Body body) {
  /** The text of the body, cut soon after so many bytes. */
  public String text(int maxBytes) throws IOException, InterruptedException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ByteBuffer piece = ByteBuffer.allocate(0);
    while (bytes.size() < maxBytes && (piece = body.read(Http.SILENCE_MS)) != null) {
      byte[] copy = new byte[piece.remaining()];
      piece.get(copy);
      bytes.write(copy);
    }
    if (piece != null) body.close();
    return bytes.toString(StandardCharsets.UTF_8);
  }

  /** The JSON in the body. Without the key it is another program's. */
  public JsonNode json(String key) throws IOException, InterruptedException {
    String text = text(Json.MAX_CHARS);
    JsonNode node = Json.read(text);
    if (key != null && !node.has(key))
      throw new IOException("expected JSON with " + key + "; got " + Http.shortened(text));
    return node;
  }

  /** A header; the other text where it is absent. */
  public String header(String name, String other) {
    return headers.firstValue(name).orElse(other);
  }
}
