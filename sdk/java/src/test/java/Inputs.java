import distributedpool.DistributedPool;
import distributedpool.EventStream;
import distributedpool.PoolEvent;
import distributedpool.Spec;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/** Checks of calls whose input does not end. */
final class Inputs {
  /** A read that no interrupt ends. */
  private static final InputStream BLOCKED =
      new InputStream() {
        @Override
        public int read() {
          for (CountDownLatch never = new CountDownLatch(1); ; )
            try {
              never.await();
            } catch (InterruptedException ignored) {
              continue;
            }
        }
      };

  private final Checks checks;
  private final DistributedPool pool;

  Inputs(Checks checks, DistributedPool pool) {
    this.checks = checks;
    this.pool = pool;
  }

  void unread() {
    InputStream endless = new SequenceInputStream(new ByteArrayInputStream(new byte[9]), BLOCKED);
    Spec spec = Spec.command("sh", "-c", "exec 0<&-; sleep 0.2; echo done").stdin(endless);
    Checks.expect("done\n", pool.run("pipeline", spec).stdout());
  }

  private static Spec unended() {
    InputStream first = new ByteArrayInputStream("begun\n".getBytes(StandardCharsets.UTF_8));
    InputStream both = new SequenceInputStream(first, BLOCKED);
    return Spec.command("cat").with("labels", Map.of("a", "b")).stdin(both);
  }

  void blocked() throws Exception {
    try (EventStream events = pool.stream("pipeline", unended())) {
      Checks.expect(PoolEvent.Placed.class, events.next().getClass());
      Checks.expect("begun\n", ((PoolEvent.Stdout) events.next()).text());
    }
    checks.awaitChildren(0);
  }

  static void unendedCall(String url) {
    try (DistributedPool pool = DistributedPool.at(url)) {
      pool.call("pipeline", unended());
    }
  }

  void killed(String url) throws Exception {
    String path = System.getProperty("java.class.path");
    Process other =
        new ProcessBuilder("java", "-XX:TieredStopAtLevel=1", "-cp", path, "Checks", url, "call")
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    byte[] begun = other.getInputStream().readNBytes(6);
    other.destroyForcibly();
    Checks.expect("begun\n", new String(begun, StandardCharsets.UTF_8));
    checks.awaitChildren(0);
  }
}
