import java.net.URI;
import java.net.http.*;

/** Prints the data lines of a stream of events. */
class Lines {
  public static void main(String[] args) throws Exception {
    var request = HttpRequest.newBuilder(URI.create(args[0]))
        .header("content-type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofString(args[1])).build();
    // The charset of the content type decides how the body is decoded.
    var lines = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofLines()).body();
    var out = new java.io.PrintStream(System.out, false, "UTF-8");
    lines.filter(line -> line.startsWith("data: ")).forEach(line -> out.println(line.substring(6)));
    out.flush();
  }
}
