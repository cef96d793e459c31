package distributedpool.internal.calls;

import distributedpool.model.ChildReference;

/** Where to ask for a child. */
public interface ChildLocator {
  /**
   * Whether a child's own member is asked for it. If so, a refused connection means that the child
   * is gone with its member; a gateway that refuses one says nothing about the child.
   */
  boolean asksOwners();

  /** The URL of the child, at its own member or at the gateway. */
  String childUrl(String id) throws InterruptedException;

  /**
   * The URL of a child at its own member, for a stream that a gateway handed over; null where the
   * URL may not be followed.
   */
  String directUrl(ChildReference child);
}
