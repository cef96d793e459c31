package distributedpool.internal.http;

import com.fasterxml.jackson.databind.JsonNode;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One request, which each method changes and returns. */
public final class Ask {
  static final String EVENTS = "text/event-stream";
  static final String JSON = "application/json";
  static final String BYTES = "application/octet-stream";

  final String method;
  final String url;
  final Map<String, String> headers = new LinkedHashMap<>();
  BodyPublisher body = BodyPublishers.noBody();
  String accept = JSON;
  /** 10 seconds for the head of the answer; 0 for no limit. */
  long timeoutMs = 10_000;

  private Ask(String method, String url) {
    this.method = method;
    this.url = url;
  }

  public static Ask get(String url) {
    return new Ask("GET", url);
  }

  public static Ask post(String url) {
    return new Ask("POST", url);
  }

  public static Ask delete(String url) {
    return new Ask("DELETE", url);
  }

  /** Accepts a stream of events, with lines of any length. */
  public Ask events() {
    accept = EVENTS;
    return this;
  }

  /** Accepts bytes, whose silence does not mean a lost connection. */
  public Ask bytes() {
    accept = BYTES;
    return this;
  }

  public Ask header(String name, String value) {
    headers.put(name, value);
    return this;
  }

  public Ask timeoutMs(long ms) {
    timeoutMs = ms;
    return this;
  }

  public Ask json(JsonNode value) {
    headers.put("content-type", JSON);
    body = BodyPublishers.ofString(Json.text(value));
    return this;
  }

  public Ask raw(byte[] value) {
    headers.put("content-type", BYTES);
    body = BodyPublishers.ofByteArray(value);
    return this;
  }

  /** A spec, with the files that travel beside it. */
  public Ask spec(JsonNode spec, List<Part> parts) {
    if (parts.isEmpty()) return json(spec);
    headers.put("content-type", "multipart/form-data; boundary=" + Part.BOUNDARY);
    body = Part.body(spec, parts);
    return this;
  }
}
