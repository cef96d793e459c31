package distributedpool.internal.placement;

import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.PoolException;
import distributedpool.internal.consul.Member;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Which members of a pool can serve a child spec at all. */
final class Fitting {
  /** The keys that members of version 0.1.0 accept; those do not announce any. */
  private static final List<String> FIRST_KEYS =
      List.of(
          ("command function task env stdin files artifacts limits sandbox outputEncoding waitMs "
                  + "deadlineMs link labels limits.memoryBytes limits.processes limits.cpus "
                  + "limits.cpuMs limits.workspaceBytes limits.openFiles limits.outputBytes "
                  + "limits.artifactBytes")
              .split(" "));

  private Fitting() {}

  /**
   * The members that know every key of the spec, and whose sandbox has the demanded level or a
   * stronger one.
   *
   * @throws PoolException {@code no_members_available} where there are members, but none that fits
   */
  static Map<String, Member> of(String pool, ObjectNode spec, Map<String, Member> members) {
    List<String> keys = new ArrayList<>();
    spec.fieldNames().forEachRemaining(keys::add);
    spec.path("limits").fieldNames().forEachRemaining(key -> keys.add("limits." + key));
    keys.removeAll(FIRST_KEYS);
    String level = spec.path("sandbox").asText("none");
    if (members.isEmpty() || keys.isEmpty() && level.equals("none")) return members;
    Map<String, Member> fit = new LinkedHashMap<>(members);
    fit.values().removeIf(each -> {
      List<String> accepted = each.specKeys() == null ? FIRST_KEYS : each.specKeys();
      return !accepted.containsAll(keys);
    });
    if (fit.isEmpty()) throw none(pool, "that knows " + String.join(", ", keys), members.size());
    fit.values().removeIf(each -> !each.isAtLeast(level));
    if (fit.isEmpty())
      throw none(pool, "of sandbox level " + level + " or stronger", members.size());
    return fit;
  }

  private static PoolException none(String pool, String expected, int count) {
    String detail = "pool %s: expected a member %s; got %d others".formatted(pool, expected, count);
    return PoolException.of("no_members_available", detail);
  }
}
