package distributedpool.internal.placement;

/** The belief of this client about the load of one member. All times are milliseconds. */
final class Belief {
  final String name;
  /** When the member told its load, or when the last end of a child there was seen. */
  double at;
  /** The place in the list of the members with a free slot; -1 for none. */
  int index = -1;

  private Load told;
  /** Children admitted less children ended, since the member told its load. */
  private long since;
  /** Requests without an answer yet. */
  private int pending;
  /** Since when the member has said nothing, while it owes an answer. */
  private double silentSince;

  Belief(String name, double now) {
    this.name = name;
    this.at = now;
  }

  /** The load, with the requests that have no answer yet. Null where none is known. */
  Load load() {
    if (told == null) return null;
    return new Load(Math.max(0, told.active() + since) + pending, told.max());
  }

  /** For how long the member has owed an answer without saying anything. */
  double silentMs(double now) {
    return pending > 0 ? now - silentSince : 0;
  }

  void told(Load load, double now) {
    told = load;
    since = 0;
    at = now;
  }

  void sent(double now) {
    if (pending == 0) silentSince = now;
    pending += 1;
  }

  void answered(boolean isAdmitted, Load load, double now) {
    pending = Math.max(0, pending - 1);
    silentSince = now;
    if (load != null) told(load, now);
    else if (isAdmitted) since += 1;
    else told = null;
  }

  void ended(double now) {
    since -= 1;
    at = now;
  }
}
