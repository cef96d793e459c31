package distributedpool.internal.calls;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.PoolEvent;
import distributedpool.PoolException;
import distributedpool.PoolException.Admitted;
import distributedpool.internal.http.Body;
import distributedpool.internal.http.Deadline;
import distributedpool.internal.http.Errors;
import distributedpool.internal.http.Http;
import distributedpool.internal.http.Json;
import distributedpool.internal.http.Sse;
import distributedpool.model.Artifact;
import distributedpool.model.ChildReference;
import distributedpool.model.Usage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The events in one answer, without those that this version does not know. */
public final class EventReader {
  /** 50 milliseconds for the end of a stream to follow its terminal event. */
  private static final long END_MS = 50;

  private final Body body;
  private final Deadline until;
  private final Sse sse = new Sse();
  private Admitted admitted = Admitted.UNKNOWN;

  /** @param until the time after which the stream is lost, whatever comes */
  EventReader(Body body, Deadline until) {
    this.body = body;
    this.until = until;
  }

  /**
   * The next event.
   *
   * @throws PoolException {@code member_lost} when the stream is cut
   */
  PoolEvent next() throws InterruptedException {
    try {
      for (; ; ) {
        for (Sse.Frame frame; (frame = sse.next()) != null; ) {
          PoolEvent event = parsed(frame);
          if (event != null) return event;
        }
        if (until.hasPassed()) throw overdue();
        ByteBuffer bytes = body.read(Math.min(Http.SILENCE_MS, until.remainingMs() + 1));
        if (bytes == null) throw new IOException("it ended");
        sse.feed(bytes);
      }
    } catch (IOException | IllegalArgumentException error) {
      body.close();
      if (until.hasPassed()) throw overdue();
      String detail = "the stream was cut before its terminal event: " + Http.message(error);
      throw PoolException.of("member_lost", detail, admitted, error);
    } catch (PoolException tooLarge) {
      throw tooLarge.admitted().isPresent() ? tooLarge : Errors.with(admitted, tooLarge);
    }
  }

  void close() {
    body.close();
  }

  /** Reads the end behind the terminal event, so that the connection serves another request. */
  void finish() throws InterruptedException {
    try {
      while (body.read(END_MS) != null) {}
    } catch (IOException cut) {
      body.close();
    }
  }

  private PoolException overdue() {
    body.close();
    String detail = "no terminal event came in 30 seconds after the deadline";
    return PoolException.of("member_lost", detail, admitted, null);
  }

  private PoolEvent parsed(Sse.Frame frame) throws IOException {
    JsonNode data = Json.read(frame.data());
    boolean isNumbered = frame.id() != null && frame.id().matches("\\d{1,15}");
    long id = isNumbered ? Long.parseLong(frame.id()) : 0;
    if (frame.id() != null) admitted = Admitted.TRUE;
    PoolEvent event = of(data, id);
    require(event == null || !data.has("partial"), data);
    return event;
  }

  /** The event in its data; null for a type that this version does not know. */
  private static PoolEvent of(JsonNode data, long id) throws IOException {
    switch (data.path("type").asText()) {
      case "queued":
        return new PoolEvent.Queued(id, data.path("position").asInt());
      case "placed":
        require(data.path("child").path("id").isTextual(), data);
        return new PoolEvent.Placed(id, Json.model(data.get("child"), ChildReference.class));
      case "stdout":
        return new PoolEvent.Stdout(id, text(data, "text"), text(data, "base64"), isLossy(data));
      case "stderr":
        return new PoolEvent.Stderr(id, text(data, "text"), text(data, "base64"), isLossy(data));
      case "progress":
        JsonNode total = data.get("total");
        Double all = total == null ? null : Double.valueOf(total.asDouble());
        return new PoolEvent.Progress(id, data.path("done").asDouble(), all, text(data, "message"));
      case "gap":
        return new PoolEvent.Gap(id, data.path("droppedBytes").asLong());
      case "result":
        return result(data, id);
      case "failed":
        require(data.path("problem").path("code").isTextual(), data);
        return new PoolEvent.Failed(id, failure(data));
      default:
        return null;
    }
  }

  /** The result in a terminal event, or in the answer of a child's result. */
  public static PoolEvent.Result result(JsonNode data, long id) {
    JsonNode exitCode = data.get("exitCode");
    List<Artifact> artifacts = new ArrayList<>();
    for (JsonNode each : data.path("artifacts")) artifacts.add(Json.model(each, Artifact.class));
    Integer code = exitCode == null || exitCode.isNull() ? null : Integer.valueOf(exitCode.asInt());
    Usage usage = Json.model(data.get("usage"), Usage.class);
    return new PoolEvent.Result(id, data.get("value"), code, usage, List.copyOf(artifacts));
  }

  /** The problem in the same, with the fields of a result beside it. */
  public static PoolException failure(JsonNode data) {
    ObjectNode all = data.get("problem").deepCopy();
    for (Map.Entry<String, JsonNode> each : data.properties())
      if (!each.getKey().equals("type") && !each.getKey().equals("problem"))
        all.set(each.getKey(), each.getValue());
    return PoolException.of(all, null, null);
  }

  private static void require(boolean isWhole, JsonNode data) throws IOException {
    if (isWhole) return;
    String shown = Http.shortened(data.toString());
    throw new IOException("expected an event of the contract; got " + shown);
  }

  private static String text(JsonNode data, String key) {
    JsonNode text = data.get(key);
    return text == null || text.isNull() ? null : text.asText();
  }

  private static boolean isLossy(JsonNode data) {
    return data.path("lossy").asBoolean();
  }
}
