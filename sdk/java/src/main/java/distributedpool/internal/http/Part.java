package distributedpool.internal.http;

import com.fasterxml.jackson.databind.JsonNode;
import distributedpool.PoolException;
import java.io.FileNotFoundException;
import java.net.URLEncoder;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/**
 * A file that travels beside a spec: bytes, or a file of this machine, which is read while it is
 * sent.
 *
 * @param name its path in the workspace, or {@code archive}
 * @param content a {@code byte[]} or a {@code Path}
 * @param mode its permissions as octal digits; null for the default
 */
public record Part(String name, Object content, String mode) {
  static final String BOUNDARY = "distributed-pool-" + UUID.randomUUID();

  /** The spec as JSON, then the files byte for byte. */
  static BodyPublisher body(JsonNode spec, List<Part> parts) {
    List<BodyPublisher> pieces = new ArrayList<>();
    pieces.add(text(head("spec", "\r\ncontent-type: application/json") + Json.text(spec) + "\r\n"));
    for (Part part : parts) {
      String type = Ask.BYTES + (part.mode == null ? "" : ";mode=" + part.mode);
      pieces.add(text(head(part.name, "; filename=\"file\"\r\ncontent-type: " + type)));
      pieces.add(part.publisher());
      pieces.add(text("\r\n"));
    }
    pieces.add(text("--" + BOUNDARY + "--\r\n"));
    return BodyPublishers.concat(pieces.toArray(new BodyPublisher[0]));
  }

  private BodyPublisher publisher() {
    if (content instanceof byte[] bytes) return BodyPublishers.ofByteArray(bytes);
    try {
      return BodyPublishers.ofFile((Path) content);
    } catch (FileNotFoundException error) {
      String detail = "files: " + name + ": expected a file that can be read; got " + content;
      throw PoolException.of("invalid_request", detail, null, error);
    }
  }

  /** A file of this machine, which stays executable. */
  public static Part of(String name, Path file) {
    return new Part(name, file, Files.isExecutable(file) ? "755" : null);
  }

  private static String head(String name, String more) {
    String encoded = URLEncoder.encode(name, StandardCharsets.UTF_8).replace("+", "%20");
    return "--%s\r\ncontent-disposition: form-data; name*=UTF-8''%s%s\r\n\r\n"
        .formatted(BOUNDARY, encoded, more);
  }

  private static BodyPublisher text(String text) {
    return BodyPublishers.ofString(text);
  }
}
