package distributedpool.internal.http;

import com.fasterxml.jackson.databind.JsonNode;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpTimeoutException;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Flow;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** One request, which each method changes and returns. */
public final class Ask {
  static final String EVENTS = "text/event-stream";
  static final String JSON = "application/json";
  static final String BYTES = "application/octet-stream";

  final String method;
  final String url;
  final Map<String, String> headers = new LinkedHashMap<>();
  private BodyPublisher body = BodyPublishers.noBody();
  String accept = JSON;
  /** 10 seconds of silence before the head of the answer; 0 for no limit. */
  private long timeoutMs = 10_000;
  /** When the last piece of the body went out. */
  private volatile long movedAt;

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

  /** Limits the time from the last piece of the body to the head of the answer. */
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

  /** Bytes that come while they are sent. */
  public Ask stream(BodyPublisher value) {
    headers.put("content-type", BYTES);
    body = value;
    return this;
  }

  /** A spec, with the files that travel beside it. */
  public Ask spec(JsonNode spec, List<Part> parts) {
    if (parts.isEmpty()) return json(spec);
    headers.put("content-type", "multipart/form-data; boundary=" + Part.BOUNDARY);
    body = Part.body(spec, parts);
    return this;
  }

  /** The body, each piece of which restarts the limit of time. */
  BodyPublisher publisher() {
    movedAt = System.nanoTime();
    long length = body.contentLength();
    if (length == 0) return body;
    Flow.Publisher<ByteBuffer> moving = subscriber -> body.subscribe(new Moving(subscriber));
    return length < 0
        ? BodyPublishers.fromPublisher(moving)
        : BodyPublishers.fromPublisher(moving, length);
  }

  /** Waits for the head of the answer. */
  <T> T await(Future<T> answer)
      throws ExecutionException, HttpTimeoutException, InterruptedException {
    if (timeoutMs <= 0) return answer.get();
    for (; ; ) {
      long leftNanos = movedAt - System.nanoTime() + timeoutMs * 1_000_000;
      if (leftNanos <= 0 && !answer.isDone())
        throw new HttpTimeoutException("nothing came for " + timeoutMs + " ms");
      try {
        return answer.get(leftNanos, TimeUnit.NANOSECONDS);
      } catch (TimeoutException late) {
        // A piece of the body may have gone out meanwhile.
        continue;
      }
    }
  }

  /** Notes when pieces go out. */
  private final class Moving implements Flow.Subscriber<ByteBuffer> {
    private final Flow.Subscriber<? super ByteBuffer> taker;

    Moving(Flow.Subscriber<? super ByteBuffer> taker) {
      this.taker = taker;
    }

    @Override
    public void onSubscribe(Flow.Subscription subscription) {
      taker.onSubscribe(subscription);
    }

    @Override
    public void onNext(ByteBuffer piece) {
      movedAt = System.nanoTime();
      taker.onNext(piece);
    }

    @Override
    public void onError(Throwable error) {
      taker.onError(error);
    }

    @Override
    public void onComplete() {
      taker.onComplete();
    }
  }
}
