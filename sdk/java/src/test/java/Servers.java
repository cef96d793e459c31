import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import distributedpool.ConsulOptions;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

/** Scripted servers on loopback: members, and a Consul that lists one. */
final class Servers {
  static final String PASSWORD = "changeit";
  /** A member's child, whose id has the member's name. */
  static final String CHILD = "m1." + "0".repeat(32);
  static final String PLACED =
      "id: 1\ndata: {\"type\":\"placed\",\"child\":{\"id\":\"" + CHILD + "\",\"pool\":\"pipeline\","
          + "\"member\":\"m1\",\"url\":\"http://127.0.0.1:1\"}}\n\n";
  static final String RESULT = "id: 2\ndata: {\"type\":\"result\",\"exitCode\":0}\n\n";

  private static final ExecutorService THREADS =
      Executors.newCachedThreadPool(run -> {
        Thread thread = new Thread(run, "server");
        thread.setDaemon(true);
        return thread;
      });

  static {
    // Without it, each answer on a connection that is kept waits for 40 ms.
    System.setProperty("sun.net.httpserver.nodelay", "true");
  }

  private Servers() {}

  /** Answers a request. */
  interface Handler {
    void handle(HttpExchange exchange) throws IOException;
  }

  static HttpServer http(Handler handler) throws IOException {
    return started(HttpServer.create(), handler);
  }

  /** Shows the certificate in a store. */
  static HttpServer https(Path store, Handler handler) throws Exception {
    KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream file = Files.newInputStream(store)) {
      keys.load(file, PASSWORD.toCharArray());
    }
    KeyManagerFactory factory =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(keys, PASSWORD.toCharArray());
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(factory.getKeyManagers(), null, null);
    HttpsServer server = HttpsServer.create();
    server.setHttpsConfigurator(new HttpsConfigurator(context));
    return started(server, handler);
  }

  private static HttpServer started(HttpServer server, Handler handler) throws IOException {
    server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(THREADS);
    server.createContext("/", exchange -> {
      exchange.getRequestBody().readAllBytes();
      handler.handle(exchange);
      exchange.close();
    });
    server.start();
    return server;
  }

  /** A member that is never full, and answers each call with these events. */
  static Handler member(String events) {
    return exchange -> {
      boolean isCall = exchange.getRequestURI().getPath().endsWith("/call");
      String load = "{\"pools\":{\"pipeline\":{\"active\":0,\"max\":5}}}";
      answer(exchange, isCall ? "text/event-stream" : "application/json", isCall ? events : load);
    };
  }

  static void answer(HttpExchange exchange, String type, String body) throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().add("content-type", type);
    exchange.sendResponseHeaders(200, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  static String url(HttpServer server) {
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  /** A Consul that lists one member of the pool. */
  static HttpServer consul(String name, String scheme, String host, int port) throws IOException {
    String list =
        ("[{\"Service\":{\"Address\":\"%s\",\"Port\":%d,\"Meta\":{\"member\":\"%s\","
                + "\"scheme\":\"%s\",\"maxChildren-pipeline\":\"5\",\"sandbox\":\"full\"}},"
                + "\"Checks\":[{\"Status\":\"passing\"}]}]")
            .formatted(host, port, name, scheme);
    return http(exchange -> {
      boolean isList = exchange.getRequestURI().getPath().contains("/health/");
      if (isList) exchange.getResponseHeaders().add("x-consul-index", "1");
      answer(exchange, "application/json", isList ? list : "[]");
    });
  }

  static ConsulOptions options(HttpServer consul) {
    return ConsulOptions.at(url(consul));
  }
}
