package distributedpool.internal.calls;

import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.internal.http.Answer;
import distributedpool.internal.http.Part;
import distributedpool.model.ChildReference;
import java.util.List;

/** The way to a pool: by a member as the gateway, or by placing directly. */
public interface Access extends ChildLocator {
  /**
   * Places a call, and returns its open stream. A call that may have been admitted is never sent
   * again.
   */
  Answer call(String pool, ObjectNode spec, List<Part> parts) throws InterruptedException;

  /** Places a child that lives on its own, and returns the open answer. */
  Answer place(String pool, ObjectNode spec, List<Part> parts) throws InterruptedException;

  /** The URL of a member that answers for all pools. */
  String gateway() throws InterruptedException;

  /** Notes that a child which was placed here has ended. */
  default void ended(ChildReference child) {}

  /** Stops watching. */
  void close();
}
