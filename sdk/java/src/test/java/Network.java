import com.sun.net.httpserver.HttpServer;
import distributedpool.Child;
import distributedpool.DistributedPool;
import distributedpool.PoolBuilder;
import distributedpool.PoolException;
import distributedpool.PoolException.Admitted;
import distributedpool.Spec;
import distributedpool.internal.http.Ask;
import distributedpool.internal.http.Http;
import java.io.IOException;
import java.lang.reflect.Field;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.SubmissionPublisher;
import java.util.concurrent.TimeUnit;

/** Checks of what only scripted servers do, and of the connections themselves. */
final class Network {
  private static final Spec TRUE = Spec.command("true");

  private Network() {}

  /** Without a token, nothing secret goes over http beyond loopback. */
  static void beyondLoopback() throws IOException {
    HttpServer member = Servers.http(Servers.member(Servers.PLACED + Servers.RESULT));
    int port = member.getAddress().getPort();
    // This address reaches loopback, and is not known to do so.
    HttpServer consul = Servers.consul("m1", "http", "0.0.0.0", port);
    PoolBuilder builder = DistributedPool.builder().consul(Servers.options(consul));
    try (DistributedPool pool = builder.build()) {
      Checks.expect(0, pool.run("pipeline", TRUE).exitCode());
    }
    try (DistributedPool pool = builder.token("secret").build()) {
      PoolException error = Checks.failure(() -> pool.run("pipeline", TRUE));
      Checks.expect("no_members_available", error.code());
    } finally {
      consul.stop(0);
      member.stop(0);
    }
  }

  /** A trusted certificate for the host is not enough, also without a ca. */
  static void memberName() throws Exception {
    Path folder = Files.createTempDirectory("distributed-pool-java-tls-");
    Path store = folder.resolve("member.p12");
    List<String> command =
        List.of(
            "keytool", "-J-XX:TieredStopAtLevel=1", "-genkeypair", "-keystore", store.toString(),
            "-storetype", "PKCS12", "-storepass", Servers.PASSWORD, "-keyalg", "EC", "-alias", "m1",
            "-dname", "CN=m1", "-ext", "san=dns:m1.distributed-pool,ip:127.0.0.1");
    try {
      Process keytool = new ProcessBuilder(command).redirectErrorStream(true).start();
      Checks.expect(true, keytool.waitFor(20, TimeUnit.SECONDS));
      System.setProperty("javax.net.ssl.trustStore", store.toString());
      System.setProperty("javax.net.ssl.trustStorePassword", Servers.PASSWORD);
      HttpServer member = Servers.https(store, Servers.member(Servers.PLACED + Servers.RESULT));
      int port = member.getAddress().getPort();
      Checks.expect("0", asked("m1", port));
      Checks.expect("no_members_available", asked("m2", port));
      member.stop(0);
    } finally {
      System.clearProperty("javax.net.ssl.trustStore");
      System.clearProperty("javax.net.ssl.trustStorePassword");
      Files.deleteIfExists(store);
      Files.delete(folder);
    }
  }

  /** The exit code, or the error, of a call to a member that is registered under the name. */
  private static String asked(String name, int port) throws IOException {
    HttpServer consul = Servers.consul(name, "https", "127.0.0.1", port);
    PoolBuilder builder = DistributedPool.builder().consul(Servers.options(consul));
    try (DistributedPool pool = builder.build()) {
      return String.valueOf(pool.run("pipeline", TRUE).exitCode());
    } catch (PoolException error) {
      return error.code();
    } finally {
      consul.stop(0);
    }
  }

  static void skippedEvents() throws IOException {
    String digits = "data: {\"type\":\"new\",\"n\":" + "7".repeat(200_000) + "}\n\n";
    String name = "data: {\"type\":\"new\",\"" + "k".repeat(60_000) + "\":1}\n\n";
    String nested = "[".repeat(1_900) + "]".repeat(1_900);
    String deep = "data: {\"type\":\"new\",\"n\":" + nested + "}\n\n";
    Checks.expect("0", read(Servers.PLACED + digits + name + deep + Servers.RESULT));
    String deeper = deep.replace("[", "[[").replace("]", "]]");
    String refused = read(Servers.PLACED + deeper + Servers.RESULT);
    Checks.expect("payload_too_large true", refused);
  }

  private static String read(String events) throws IOException {
    HttpServer member = Servers.http(Servers.member(events));
    try (DistributedPool pool = DistributedPool.at(Servers.url(member))) {
      return String.valueOf(pool.run("pipeline", TRUE).exitCode());
    } catch (PoolException error) {
      return error.code() + " " + error.admitted().equals(Optional.of(Admitted.TRUE));
    } finally {
      member.stop(0);
    }
  }

  /** A call whose child is known is not made again, although its member drained and left. */
  static void draining() throws IOException {
    String child = "{\"id\":\"" + Servers.CHILD + "\",\"pool\":\"pipeline\",\"member\":\"m1\","
        + "\"url\":\"http://127.0.0.1:1\"}";
    String problem = "{\"type\":\"about:blank\",\"title\":\"draining\",\"status\":503,"
        + "\"detail\":\"it drains\",\"code\":\"draining\"}";
    String event =
        "data: {\"type\":\"failed\",\"child\":" + child + ",\"problem\":" + problem + "}\n\n";
    HttpServer[] member = new HttpServer[1];
    CountDownLatch calls = new CountDownLatch(2);
    member[0] = Servers.http(exchange -> {
      String path = exchange.getRequestURI().getPath();
      if (path.endsWith("/events")) return;
      exchange.getResponseHeaders().add("connection", "close");
      Servers.member(event).handle(exchange);
      if (!path.endsWith("/call")) return;
      exchange.close();
      calls.countDown();
      new Thread(() -> member[0].stop(0)).start();
    });
    int port = member[0].getAddress().getPort();
    HttpServer consul = Servers.consul("m1", "http", "127.0.0.1", port);
    PoolBuilder builder = DistributedPool.builder().consul(Servers.options(consul));
    try (DistributedPool pool = builder.build()) {
      PoolException error = Checks.failure(() -> pool.run("pipeline", TRUE));
      Checks.expect("draining", error.code());
      Checks.expect(Admitted.TRUE, error.admitted().orElseThrow());
      Checks.expect(1L, calls.getCount());
    } finally {
      consul.stop(0);
    }
  }

  static void endlessListing() throws IOException {
    String page = "{\"pools\":[],\"nextCursor\":\"more\"}";
    HttpServer member = Servers.http(each -> Servers.answer(each, "application/json", page));
    try (DistributedPool pool = DistributedPool.at(Servers.url(member))) {
      Checks.expect("payload_too_large", Checks.failure(pool::pools).code());
    } finally {
      member.stop(0);
    }
  }

  /** Pieces that come one by one for longer than the limit, which counts the silence. */
  static void slowUpload() throws Exception {
    HttpServer member = Servers.http(each -> Servers.answer(each, "application/json", "{}"));
    Http http = new Http(null, null);
    CountDownLatch never = new CountDownLatch(1);
    SubmissionPublisher<ByteBuffer> pieces = new SubmissionPublisher<>();
    try {
      Thread sender = new Thread(() -> {
        try (pieces) {
          for (int count = 0; count < 10; count++) {
            never.await(200, TimeUnit.MILLISECONDS);
            pieces.submit(ByteBuffer.wrap(new byte[] {1}));
          }
        } catch (InterruptedException left) {
          Thread.currentThread().interrupt();
        }
      });
      sender.start();
      Ask ask = Ask.post(Servers.url(member)).stream(BodyPublishers.fromPublisher(pieces));
      http.json(ask.timeoutMs(1_500), null);
      sender.join();
    } finally {
      http.close();
      member.stop(0);
    }
  }

  /** An answer without a body leaves nothing open. */
  static void emptyAnswer(DistributedPool pool, String url) throws Exception {
    Child child = pool.place("pipeline", Spec.command("sleep", "60"));
    Http http = new Http(null, null);
    int status = http.send(Ask.get(url + "/children/" + child.id() + "/result?waitMs=0")).status();
    child.stop(0);
    Checks.expect(204, status);
    Field active = Http.class.getDeclaredField("active");
    active.setAccessible(true);
    Checks.expect(true, ((Collection<?>) active.get(http)).isEmpty());
    http.close();
  }
}
