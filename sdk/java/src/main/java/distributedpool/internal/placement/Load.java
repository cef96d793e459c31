package distributedpool.internal.placement;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** How busy one member is in one pool. */
record Load(long active, long max) {
  /** The header of answers in which a member tells its load: a dictionary of RFC 9651. */
  static final String HEADER = "pool-load";

  private static final Pattern INTEGER = Pattern.compile("([a-z]+)=(\\d{1,15})(;.*)?");

  /** The load in a header; keys of a newer member are skipped. Null for anything else. */
  static Load of(String header) {
    long active = -1;
    long max = -1;
    for (String part : header.split(",")) {
      Matcher told = INTEGER.matcher(part.strip());
      if (!told.matches()) continue;
      if (told.group(1).equals("active")) active = Long.parseLong(told.group(2));
      if (told.group(1).equals("max")) max = Long.parseLong(told.group(2));
    }
    return active < 0 || max < 0 ? null : new Load(active, max);
  }

  /** The load in an answer; null where it tells none. */
  static Load of(JsonNode load) {
    boolean isLoad = load.path("active").isNumber() && load.path("max").isNumber();
    return isLoad ? new Load(load.get("active").asLong(), load.get("max").asLong()) : null;
  }

  boolean isFree() {
    return active < max;
  }

  /** The part of the slots that is taken; 1 for a member that admits nothing. */
  double ratio() {
    return max > 0 ? (double) active / max : 1;
  }
}
