package distributedpool.internal.calls;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.PoolException;
import distributedpool.internal.http.Answer;
import distributedpool.internal.http.Ask;
import distributedpool.internal.http.Deadline;
import distributedpool.internal.http.Http;
import distributedpool.internal.http.Part;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/** Sends a child spec. A source that has a hash is named by it, and sent where it is not known. */
public final class SpecSender {
  /** One try to be admitted. */
  public record Request(
      ObjectNode spec,
      List<Part> parts,
      boolean isCall,
      long timeoutMs,
      Map<String, String> headers) {}

  /** The open answer, or the refusal in it; the other one is null. */
  public record Posted(Answer answer, PoolException refusal) {}

  private SpecSender() {}

  /** The hash of a source. */
  public static String hash(String source) {
    try {
      byte[] bytes = source.getBytes(StandardCharsets.UTF_8);
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(bytes);
      return "sha256:" + HexFormat.of().formatHex(digest);
    } catch (NoSuchAlgorithmException none) {
      throw new IllegalStateException(none);
    }
  }

  /**
   * Posts a child spec. A member that lacks the source has run nothing and taken no slot; it is
   * sent the whole spec, with the rest of the deadline.
   */
  public static Posted post(Http http, String url, Request request)
      throws IOException, InterruptedException {
    ObjectNode spec = request.spec();
    JsonNode function = spec.path("function");
    Deadline deadline = Deadline.of(spec);
    // Parts may be far larger than any source, so a spec with parts is sent once.
    if (!function.has("source") || !function.has("hash") || !request.parts().isEmpty())
      return one(http, url, request, spec);
    ObjectNode named = spec.deepCopy();
    ((ObjectNode) named.get("function")).remove("source");
    Posted posted = one(http, url, request, named);
    if (posted.refusal == null || !posted.refusal.code().equals("source_unknown")) return posted;
    if (deadline.hasPassed()) {
      String detail = "the deadline passed before the source could be sent";
      return new Posted(null, PoolException.of("deadline_exceeded", detail));
    }
    return one(http, url, request, deadline.into(spec.deepCopy()));
  }

  private static Posted one(Http http, String url, Request request, ObjectNode spec)
      throws IOException, InterruptedException {
    Ask ask = Ask.post(url).spec(spec, request.parts()).timeoutMs(request.timeoutMs());
    request.headers().forEach(ask::header);
    Answer answer = http.send(request.isCall() ? ask.events() : ask);
    if (answer.status() < 300) return new Posted(answer, null);
    return new Posted(null, http.problem(answer));
  }
}
