import distributedpool.Child;
import distributedpool.ChildFilter;
import distributedpool.DistributedPool;
import distributedpool.EventStream;
import distributedpool.MapResults;
import distributedpool.PoolEvent;
import distributedpool.PoolException;
import distributedpool.Result;
import distributedpool.Spec;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Checks of the forms that Java alone has: streams, interrupts, futures. Prints a line each. */
public final class Checks {
  private static final long WAIT_SECONDS = 20;
  private static final Spec LONG =
      Spec.command("sleep", "60").link().with("labels", Map.of("a", "b"));

  private final DistributedPool pool;

  private Checks(DistributedPool pool) {
    this.pool = pool;
  }

  interface Check {
    void run() throws Exception;
  }

  public static void main(String[] args) {
    if (args.length > 1) {
      Inputs.unendedCall(args[0]);
      return;
    }
    try (DistributedPool pool = DistributedPool.at(args[0])) {
      Checks checks = new Checks(pool);
      Inputs inputs = new Inputs(checks, pool);
      print("input of a call", checks::input);
      print("input that fails", checks::brokenInput);
      print("files and input of a child", checks::child);
      print("a future that is cancelled", checks::cancelledFuture);
      print("an interrupt", checks::interrupt);
      print("a stream that is closed by another thread", checks::closedStream);
      print("a map without order, and one that fails", checks::map);
      print("the value as a record", checks::value);
      print("input that nobody reads", inputs::unread);
      print("a stream that is closed while its input blocks", inputs::blocked);
      print("a process that is killed while its input blocks", () -> inputs.killed(args[0]));
      print("the size of a terminal", checks::terminal);
      print("members beyond loopback", Network::beyondLoopback);
      print("the name in a member's certificate", Network::memberName);
      print("events to skip", Network::skippedEvents);
      print("a member that drains and leaves", Network::draining);
      print("an endless listing", Network::endlessListing);
      print("a slow upload", Network::slowUpload);
      print("an answer without a body", () -> Network.emptyAnswer(pool, args[0]));
    }
  }

  private static void print(String name, Check check) {
    try {
      check.run();
      System.out.println("ok " + name);
    } catch (Throwable error) {
      System.out.println("failed " + name + ": " + error);
      error.printStackTrace();
    }
  }

  static void expect(Object wanted, Object got) {
    if (!wanted.equals(got)) throw new AssertionError("expected " + wanted + "; got " + got);
  }

  private void input() {
    byte[] bytes = new byte[600_000];
    Arrays.fill(bytes, (byte) 'a');
    Spec count = Spec.command("wc", "-c").stdin(new ByteArrayInputStream(bytes));
    expect("600000", pool.run("pipeline", count).stdout().strip());
  }

  private void brokenInput() {
    InputStream broken =
        new InputStream() {
          @Override
          public int read() throws IOException {
            throw new IOException("the disk is gone");
          }
        };
    InputStream both = new SequenceInputStream(new ByteArrayInputStream(new byte[10]), broken);
    PoolException error = failure(() -> pool.run("pipeline", Spec.command("cat").stdin(both)));
    expect("cancelled", error.code());
    expect(true, error.getMessage().contains("the disk is gone"));
  }

  private void terminal() {
    Map<String, Integer> size = Map.of("rows", 24, "columns", 80);
    Child child = pool.place("pipeline", Spec.command("cat").with("tty", size));
    expect(child.id(), child.resize(50, 132).id());
    child.stop(0);
    Child plain = pool.place("pipeline", Spec.command("cat"));
    expect("not_found", failure(() -> plain.resize(50, 132)).code());
    plain.stop(0);
  }

  private void child() throws Exception {
    Spec spec = Spec.command("sh", "-c", "cat in.txt - | tr a-z A-Z >out.txt").artifacts("*.txt");
    byte[] text = "é quiet ".getBytes(StandardCharsets.UTF_8);
    Child child = pool.place("pipeline", spec.file("in.txt", text));
    try (OutputStream stdin = child.stdin()) {
      stdin.write("child".getBytes(StandardCharsets.UTF_8));
    }
    expect(0, child.exit().exitCode());
    try (InputStream file = child.file("out.txt")) {
      expect("é QUIET CHILD", new String(file.readAllBytes(), StandardCharsets.UTF_8));
    }
    expect(0, child.result(0).orElseThrow().exitCode());
    expect("not_found", failure(() -> child.file("none")).code());
  }

  private void cancelledFuture() throws Exception {
    CompletableFuture<Result> future = pool.runAsync("pipeline", LONG);
    awaitChildren(1);
    future.cancel(true);
    try {
      future.get(WAIT_SECONDS, TimeUnit.SECONDS);
      throw new AssertionError("expected a CancellationException");
    } catch (CancellationException cancelled) {
      awaitChildren(0);
    }
  }

  private void interrupt() throws Exception {
    CompletableFuture<Boolean> flag = new CompletableFuture<>();
    Thread caller = new Thread(() -> {
      try {
        pool.call("pipeline", LONG);
      } catch (CancellationException cancelled) {
        flag.complete(Thread.currentThread().isInterrupted());
      }
    });
    caller.start();
    awaitChildren(1);
    caller.interrupt();
    expect(true, flag.get(WAIT_SECONDS, TimeUnit.SECONDS));
    awaitChildren(0);
  }

  private void closedStream() throws Exception {
    EventStream events = pool.stream("pipeline", LONG);
    expect(PoolEvent.Placed.class, events.next().getClass());
    CompletableFuture<String> ending = CompletableFuture.supplyAsync(() -> {
      try {
        return "event " + events.hasNext();
      } catch (CancellationException closed) {
        return closed.getMessage();
      }
    });
    events.close();
    expect("the stream was closed", ending.get(WAIT_SECONDS, TimeUnit.SECONDS));
    awaitChildren(0);
  }

  private void map() {
    Spec half = Spec.function("(n) => { if (n % 2) throw new Error(`odd ${n}`); return n / 2; }");
    try (MapResults results = pool.map("pipeline", half, List.of(2, 4, 6)).unordered()) {
      List<Integer> values = results.toList().stream().map(each -> each.asInt()).toList();
      expect("[1, 2, 3]", new TreeSet<>(values).toString());
    }
    PoolException error = failure(() -> pool.map("pipeline", half, List.of(2, 3)).toList());
    expect("function_threw", error.code());
    expect(1, error.index().orElseThrow());
    expect("odd 3", error.error().orElseThrow().message());
  }

  record Point(int x, List<String> names) {}

  private void value() {
    Spec spec = Spec.function("(x) => ({ x, names: ['a'] })", 3).byHash();
    expect(new Point(3, List.of("a")), pool.call("pipeline", spec).value(Point.class));
  }

  /** Waits until so many of the linked children run. */
  void awaitChildren(int wanted) throws InterruptedException {
    CountDownLatch never = new CountDownLatch(1);
    long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_SECONDS);
    while (running() != wanted) {
      if (System.nanoTime() > until) throw new AssertionError("expected " + wanted + " children");
      never.await(20, TimeUnit.MILLISECONDS);
    }
  }

  private long running() {
    var labelled = ChildFilter.label("a", "b");
    return pool.children("pipeline", labelled, ChildFilter.status("running")).size();
  }

  static PoolException failure(Check work) {
    try {
      work.run();
    } catch (PoolException error) {
      return error;
    } catch (Exception error) {
      throw new AssertionError(error);
    }
    throw new AssertionError("expected a PoolException");
  }
}
