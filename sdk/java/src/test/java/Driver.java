import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.Child;
import distributedpool.ConsulOptions;
import distributedpool.DistributedPool;
import distributedpool.EventStream;
import distributedpool.MapResults;
import distributedpool.PoolBuilder;
import distributedpool.PoolEvent;
import distributedpool.PoolException;
import distributedpool.Result;
import distributedpool.Spec;
import distributedpool.internal.http.Json;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;

/** Runs the operations of the conformance suite: JSON lines in and out. */
public final class Driver {
  private static final List<String> CAPABILITIES =
      List.of(
          "function", "command", "stream", "run", "place", "map", "stdin", "members", "signal",
          "cancel", "files", "consul", "token", "tls", "key", "request-id", "hash", "retries",
          "sdk");

  private static DistributedPool pools;
  private static final ByteArrayOutputStream OUT = new ByteArrayOutputStream();
  private static final ByteArrayOutputStream ERR = new ByteArrayOutputStream();

  private Driver() {}

  public static void main(String[] argv) throws Exception {
    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    for (String line; (line = lines.readLine()) != null; ) {
      JsonNode request = Json.read(line);
      ObjectNode answer = Json.object().set("id", request.get("id"));
      try {
        JsonNode args = request.path("args");
        answer.set("value", Json.node(run(request.get("op").asText(), args)));
      } catch (Exception error) {
        answer.set("error", errorOf(error));
      }
      answers.println(Json.text(answer));
    }
  }

  private static Object run(String op, JsonNode args) throws Exception {
    String pool = args.path("pool").asText();
    switch (op) {
      case "capabilities":
        return CAPABILITIES;
      case "open":
        pools = open(args);
        return null;
      case "close":
        if (pools != null) pools.close();
        return pools = null;
      case "call":
        OUT.reset();
        ERR.reset();
        Result called = pools.call(pool, spec(args));
        String out = OUT.toString(StandardCharsets.UTF_8);
        return ending(called, out, ERR.toString(StandardCharsets.UTF_8));
      case "run":
        Result result = pools.run(pool, spec(args));
        return ending(result, result.stdout(), result.stderr())
            .put("truncated", result.truncated());
      case "stream":
        try (EventStream events = pools.stream(pool, spec(args))) {
          return events(events, args.path("limit").asInt(Integer.MAX_VALUE));
        }
      case "place":
        return Json.object().put("child", pools.place(pool, spec(args)).id());
      case "map":
        return map(pool, args);
      case "cancel":
        return cancel(args);
      case "members":
        return pools.pool(pool).members().stream().map(each -> each.member()).toList();
      default:
        return ofChild(op, args);
    }
  }

  private static DistributedPool open(JsonNode args) {
    PoolBuilder builder = DistributedPool.builder().output(OUT, ERR);
    if (args.has("url")) builder.url(args.get("url").asText());
    if (args.has("consul")) builder.consul(ConsulOptions.at(args.get("consul").asText()));
    if (args.has("token")) builder.token(args.get("token").asText());
    if (args.path("insecure").asBoolean()) builder.insecure();
    if (args.has("ca")) builder.ca(Path.of(args.get("ca").asText()));
    return builder.build();
  }

  private static Object ofChild(String op, JsonNode args) throws Exception {
    Child child = pools == null ? null : pools.child(args.path("child").asText());
    switch (op) {
      case "events":
        try (EventStream events = child.events(args.path("after").asLong())) {
          return events(events, args.path("limit").asInt(Integer.MAX_VALUE));
        }
      case "info":
        return child.info();
      case "result":
        var result = child.result(args.path("waitMs").asLong());
        return result.map(each -> ending(each, "", "")).orElse(null);
      case "stop":
        return args.has("graceMs") ? child.stop(args.get("graceMs").asLong()) : child.stop();
      case "signal":
        return child.signal(args.get("signal").asText());
      case "stdin":
        byte[] text = args.get("text").asText().getBytes(StandardCharsets.UTF_8);
        return child.write(text, args.path("end").asBoolean());
      case "file":
        try (InputStream file = child.file(args.get("path").asText())) {
          String base64 = Base64.getEncoder().encodeToString(file.readAllBytes());
          return Json.object().put("base64", base64);
        }
      default:
        throw PoolException.of("unsupported", "no operation is called " + op);
    }
  }

  private static Spec spec(JsonNode args) {
    Spec spec = Spec.of(args.get("spec"));
    return args.has("retries") ? spec.retries(args.get("retries").asInt()) : spec;
  }

  private static List<JsonNode> map(String pool, JsonNode args) {
    try (MapResults results = pools.map(pool, spec(args), args.get("inputs"))) {
      if (args.has("concurrency")) results.concurrency(args.get("concurrency").asInt());
      if (!args.path("ordered").asBoolean(true)) results.unordered();
      return results.toList();
    }
  }

  /** Cancels a future, or interrupts the thread of another operation. */
  private static Object cancel(JsonNode args) throws Exception {
    String op = args.get("op").asText();
    JsonNode inner = args.get("args");
    String pool = inner.path("pool").asText();
    if (op.equals("run") || op.equals("call")) {
      CompletableFuture<Result> future =
          op.equals("run") ? pools.runAsync(pool, spec(inner)) : pools.callAsync(pool, spec(inner));
      Thread.sleep(args.path("afterMs").asLong(200));
      future.cancel(true);
      return future.get();
    }
    CountDownLatch reached = new CountDownLatch(args.path("afterEvents").asInt(0));
    CompletableFuture<Object> outcome = new CompletableFuture<>();
    outcome.whenComplete((value, error) -> {
      while (reached.getCount() > 0) reached.countDown();
    });
    Thread thread = new Thread(() -> {
      try {
        outcome.complete(op.equals("stream") ? counted(inner, reached) : run(op, inner));
      } catch (Exception error) {
        outcome.completeExceptionally(error);
      }
    });
    thread.start();
    reached.await();
    Thread.sleep(args.path("afterMs").asLong(0));
    thread.interrupt();
    return outcome.get();
  }

  private static Object counted(JsonNode args, CountDownLatch reached) {
    try (EventStream events = pools.stream(args.get("pool").asText(), spec(args))) {
      for (; events.hasNext(); reached.countDown()) events.next();
      return null;
    }
  }

  private static ArrayNode events(Iterator<PoolEvent> events, int limit) {
    ArrayNode list = Json.MAPPER.createArrayNode();
    while (list.size() < limit && events.hasNext()) list.add(eventOf(events.next()));
    return list;
  }

  private static JsonNode eventOf(PoolEvent event) {
    if (event instanceof PoolEvent.Failed failed) {
      ObjectNode json = Json.object().put("type", "failed").put("id", failed.id());
      JsonNode problem = failed.error().problem();
      for (String key : List.of("exitCode", "usage", "artifacts", "child"))
        if (problem.has(key)) json.set(key, problem.get(key));
      json.set("problem", problem);
      if (event.id() == 0) json.remove("id");
      return json;
    }
    ObjectNode json = (ObjectNode) Json.node(event);
    json.put("type", event.getClass().getSimpleName().toLowerCase());
    json.properties().removeIf(each -> each.getValue().isNull());
    json.remove(List.of("terminal", "bytes"));
    if (event.id() == 0) json.remove("id");
    if (!json.path("lossy").asBoolean()) json.remove("lossy");
    for (String key : List.of("done", "total"))
      if (json.has(key) && json.get(key).asDouble() % 1 == 0)
        json.put(key, json.get(key).asLong());
    return json;
  }

  private static ObjectNode ending(Result result, String stdout, String stderr) {
    ObjectNode json = Json.object().put("child", result.child().id());
    if (result.value() != null) json.set("value", result.value());
    if (result.exitCode() != null) json.put("exitCode", result.exitCode());
    json.set("artifacts", Json.node(result.artifacts()));
    return json.put("stdout", stdout).put("stderr", stderr);
  }

  private static JsonNode errorOf(Exception error) {
    Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
    ObjectNode json = Json.object().put("detail", String.valueOf(cause.getMessage()));
    if (cause instanceof CancellationException) return json.put("code", "cancelled");
    if (!(cause instanceof PoolException known)) {
      cause.printStackTrace();
      return json.put("code", "crash").put("detail", String.valueOf(cause));
    }
    json.put("code", known.code()).put("status", known.status());
    JsonNode problem = known.problem();
    for (String key : List.of("error", "exitCode", "stdout", "stderr"))
      if (problem.has(key)) json.set(key, problem.get(key));
    known.child().ifPresent(child -> json.put("child", child.id()));
    known.retryAfter().ifPresent(pause -> json.put("retryAfterMs", pause.toMillis()));
    known.index().ifPresent(index -> json.put("index", index));
    known.admitted().ifPresent(admitted -> {
      switch (admitted) {
        case TRUE -> json.put("admitted", true);
        case FALSE -> json.put("admitted", false);
        default -> json.put("admitted", "unknown");
      }
    });
    return json;
  }
}
