package distributedpool.internal.calls;

import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.PoolException;
import distributedpool.PoolException.Admitted;
import distributedpool.internal.http.Http;
import distributedpool.internal.http.Part;
import java.io.IOException;
import java.util.List;

/** The placement of a child that lives on its own. */
public record Placing(Access access, String pool, ObjectNode spec, List<Part> parts) {
  /** Places the child, with so many further tries, and returns its id. */
  public String place(int retries) throws InterruptedException {
    Retries tries = new Retries(retries, spec);
    for (; ; ) {
      try {
        return access.place(pool, tries.next(spec), parts).json("id").get("id").asText();
      } catch (IOException error) {
        String detail = "the answer of the member that admitted was cut: " + Http.message(error);
        throw PoolException.of("member_lost", detail, Admitted.TRUE, error);
      } catch (PoolException error) {
        tries.pauseAfter(error);
      }
    }
  }
}
