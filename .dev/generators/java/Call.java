import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import pool.client.ApiClient;
import pool.client.ApiException;
import pool.client.api.ChildrenApi;
import pool.client.api.PoolsApi;
import pool.client.model.*;

/** Calls a member by the client of openapi-generator's `java`. Prints a line for each check. */
public class Call {
  interface Check {
    void run() throws Exception;
  }

  static final ApiClient CLIENT = new ApiClient();
  static final ObjectMapper MAPPER = ApiClient.createDefaultObjectMapper();

  static {
    CLIENT.updateBaseUri(System.getenv("POOL_URL"));
  }

  static final PoolsApi POOLS = new PoolsApi(CLIENT);
  static final ChildrenApi CHILDREN = new ChildrenApi(CLIENT);

  static void expect(Object got, Object wanted) {
    if (!wanted.equals(got)) throw new AssertionError("expected " + wanted + "; got " + got);
  }

  static ChildSpec command(String... argv) {
    return new ChildSpec(new CommandSpec().command(List.of(argv)));
  }

  static void call() throws ApiException {
    FunctionBySource source = new FunctionBySource().source("(a, b) => a + b");
    FunctionWork work = new FunctionWork(source.args(List.of(1211, 1)));
    ChildSpec spec = new ChildSpec(new FunctionSpec().function(work));
    expect(POOLS.runInPool("pipeline", spec).getValue(), 1212);
    RunResult result = POOLS.runInPool("pipeline", command("echo", "hi"));
    expect(result.getStdout(), "hi\n");
    expect(result.getExitCode(), 0);
  }

  static void place() throws ApiException {
    Child child = POOLS.placeChildInPool("pipeline", command("sleep", "60"));
    expect(CHILDREN.getChild(child.getId()).getStatus(), ChildStatus.RUNNING);
    expect(CHILDREN.stopChild(child.getId(), null).getId(), child.getId());
  }

  static String codeOf(String pool, ChildSpec spec) throws Exception {
    try {
      return "no problem but " + POOLS.runInPool(pool, spec);
    } catch (ApiException error) {
      return MAPPER.readValue(error.getResponseBody(), RunProblem.class).getCode();
    }
  }

  static void errors() throws Exception {
    expect(codeOf("nobody", command("true")), "pool_not_found");
    expect(codeOf("pipeline", command()), "invalid_request");
    Child holder = POOLS.placeChildInPool("single", command("sleep", "60"));
    String full = codeOf("single", command("true"));
    CHILDREN.stopChild(holder.getId(), null);
    expect(full, "all_members_at_capacity");
  }

  static void stream() throws Exception {
    List<Class<?>> types = new ArrayList<>();
    File text = POOLS.callInPool("pipeline", command("echo", "hi"));
    for (String line : Files.readAllLines(text.toPath()))
      if (line.startsWith("data: "))
        types.add(MAPPER.readValue(line.substring(6), PoolEvent.class).getActualInstance().getClass());
    expect(types, List.of(PlacedEvent.class, StdoutEvent.class, ResultEvent.class));
  }

  static void print(String name, Check check) {
    try {
      check.run();
      System.out.println(name + ": ok");
    } catch (Throwable error) {
      System.out.println(name + ": " + error.toString().replace('\n', ' '));
    }
  }

  public static void main(String[] args) {
    print("call", Call::call);
    print("place", Call::place);
    print("errors", Call::errors);
    print("stream", Call::stream);
  }
}
