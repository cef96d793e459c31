package distributedpool.internal.http;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import distributedpool.PoolException;
import distributedpool.PoolException.Admitted;
import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.UnknownHostException;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.security.cert.CertificateException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;

/** HTTP to members: each wait has a limit, and a problem in the answer becomes an error. */
public final class Http {
  /** A body that is silent for a heartbeat and a half (15 seconds) is lost. */
  public static final long SILENCE_MS = 15_000;
  /** 64 KiB: a longer body is no problem of the contract. */
  private static final int MAX_PROBLEM_BYTES = 65_536;
  /** 2 seconds for a member to accept a connection; a slower one counts as away. */
  private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(2);
  private static final int MAX_SHOWN = 200;

  private final HttpClient client;
  private final String authorization;
  private final Set<Runnable> active = ConcurrentHashMap.newKeySet();
  private volatile boolean isClosed;

  /**
   * @param token of each request; null for none
   * @param tls the authorities to trust; null for the well-known ones
   */
  public Http(String token, SSLContext tls) {
    HttpClient.Builder builder =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .connectTimeout(CONNECT_TIMEOUT);
    client = (tls == null ? builder : builder.sslContext(tls)).build();
    authorization = token == null ? null : "Bearer " + token;
  }

  /** Whether requests carry a token. */
  public boolean hasToken() {
    return authorization != null;
  }

  /**
   * Sends a request. Returns at the head of the answer.
   *
   * @throws PoolException {@code invalid_request} for a redirect, which is not followed; {@code
   *     member_lost} for an answer of another type than was asked for
   */
  public Answer send(Ask ask) throws IOException, InterruptedException {
    HttpResponse<Body> response = exchange(ask);
    Answer answer = new Answer(response.statusCode(), response.headers(), response.body());
    int status = answer.status();
    // A connection is free again when its answer has been read to its end.
    if (status == 204) answer.body().finish();
    if (status >= 300 && status < 400) {
      answer.body().close();
      String place = answer.header("location", "nowhere");
      String detail = "expected the URL of a member; " + origin(ask.url) + " redirects to " + place;
      throw PoolException.of("invalid_request", detail);
    }
    String type = answer.header("content-type", "").split(";")[0].strip().toLowerCase();
    boolean isTyped = status < 300 && status != 204 && !ask.accept.equals(Ask.BYTES);
    if (isTyped && !type.equals(ask.accept)) {
      answer.body().close();
      String detail = "expected " + ask.accept + " of a member; got " + form(answer);
      throw PoolException.of("member_lost", detail, Admitted.UNKNOWN, null);
    }
    return answer;
  }

  private HttpRequest request(Ask ask) {
    HttpRequest.Builder builder = HttpRequest.newBuilder(URI.create(ask.url));
    boolean isStream = ask.accept.equals(Ask.EVENTS);
    builder.header("accept", isStream ? ask.accept + ";lines=long" : ask.accept);
    if (authorization != null) builder.header("authorization", authorization);
    ask.headers.forEach(builder::header);
    return builder.method(ask.method, ask.publisher()).build();
  }

  private HttpResponse<Body> exchange(Ask ask) throws IOException, InterruptedException {
    if (isClosed) throw closed();
    CompletableFuture<HttpResponse<Body>> sending = client.sendAsync(request(ask), head -> body());
    Runnable cancel = () -> sending.cancel(true);
    track(cancel);
    try {
      return ask.await(sending);
    } catch (InterruptedException | HttpTimeoutException left) {
      abandon(sending);
      throw left;
    } catch (ExecutionException failed) {
      if (isClosed) throw closed();
      throw failed.getCause() instanceof IOException known
          ? known
          : new IOException(failed.getCause());
    } catch (java.util.concurrent.CancellationException cancelled) {
      throw closed();
    } finally {
      active.remove(cancel);
    }
  }

  /** Closes the answer also where it comes in this very moment. */
  private static void abandon(CompletableFuture<HttpResponse<Body>> sending) {
    sending.whenComplete((response, error) -> {
      if (response != null) response.body().close();
    });
    sending.cancel(true);
  }

  private Body body() {
    Runnable[] close = new Runnable[1];
    Body body = new Body(() -> active.remove(close[0]));
    close[0] = body::close;
    track(close[0]);
    return body;
  }

  /** Notes what {@link #close} has to end, and ends it where that has been called meanwhile. */
  private void track(Runnable cancel) {
    active.add(cancel);
    if (isClosed) cancel.run();
  }

  /**
   * Sends a request and reads its JSON answer.
   *
   * @param key that the answer has; null for any JSON
   * @throws PoolException the problem in the answer; {@code member_lost} without an answer
   */
  public JsonNode json(Ask ask, String key) throws InterruptedException {
    try {
      Answer answer = send(ask);
      if (answer.status() >= 400) throw problem(answer);
      return answer.json(key);
    } catch (IOException error) {
      throw noAnswer(ask.url, error);
    }
  }

  /** The error that an answer of 400 or more carries. */
  public PoolException problem(Answer answer) throws IOException, InterruptedException {
    String text = answer.text(MAX_PROBLEM_BYTES);
    try {
      JsonNode body = Json.read(text);
      if (body.path("code").isTextual() && body.path("detail").isTextual()
          && body.path("title").isTextual() && body.path("status").isInt())
        return PoolException.of(body, pause(answer), null);
    } catch (JsonProcessingException other) {
      // Another program's answer need not be JSON.
    }
    String detail =
        "expected a problem of distributed-pool; got " + form(answer) + ": " + shortened(text);
    return PoolException.of("member_lost", detail, Admitted.UNKNOWN, null);
  }

  /** Ends the requests that are under way. */
  public void close() {
    isClosed = true;
    for (Runnable cancel : active) cancel.run();
  }

  private static PoolException closed() {
    return PoolException.of("member_lost", "the pools were closed", Admitted.UNKNOWN, null);
  }

  /** The error of a request that may have reached the member. */
  public static PoolException noAnswer(String url, Throwable cause) {
    String detail = "no answer from " + origin(url) + ": " + message(cause);
    return PoolException.of("member_lost", detail, Admitted.UNKNOWN, cause);
  }

  /** Whether the request certainly never reached the member, because no connection was made. */
  public static boolean neverSent(Throwable error) {
    for (Throwable each = error; each != null; each = each.getCause())
      if (each instanceof ConnectException
          || each instanceof HttpConnectTimeoutException
          || each instanceof UnknownHostException
          || each instanceof javax.net.ssl.SSLHandshakeException
          || each instanceof CertificateException
          || isForeign(each)) return true;
    return false;
  }

  /** Whether a member without TLS answered the handshake. */
  private static boolean isForeign(Throwable error) {
    return error instanceof SSLException
        && String.valueOf(error.getMessage()).startsWith("Unsupported or unrecognized SSL");
  }

  /** The message of an error, as a person needs it. */
  public static String message(Throwable error) {
    for (Throwable each = error; each != null; each = each.getCause()) {
      if (isForeign(each)) return "the member does not speak https; its URL begins with http://";
      if (each instanceof CertificateException)
        return "the certificate is not trusted: " + each.getMessage();
    }
    if (error instanceof ConnectException) return "connection refused";
    return error.getMessage() == null ? error.getClass().getSimpleName() : error.getMessage();
  }

  public static String shortened(String text) {
    return text.length() <= MAX_SHOWN ? text : text.substring(0, MAX_SHOWN);
  }

  private static String form(Answer answer) {
    return "HTTP " + answer.status() + " with " + answer.header("content-type", "no content type");
  }

  private static String origin(String url) {
    URI uri = URI.create(url);
    return uri.getScheme() + "://" + uri.getRawAuthority();
  }

  /** The pause of a Retry-After header: seconds, or a date. */
  private static Duration pause(Answer answer) {
    String header = answer.header("retry-after", "");
    if (header.matches("\\d{1,9}")) return Duration.ofSeconds(Long.parseLong(header));
    try {
      Instant at = ZonedDateTime.parse(header, DateTimeFormatter.RFC_1123_DATE_TIME).toInstant();
      Duration left = Duration.between(Instant.now(), at);
      return left.isNegative() ? Duration.ZERO : left;
    } catch (DateTimeParseException none) {
      return null;
    }
  }
}
