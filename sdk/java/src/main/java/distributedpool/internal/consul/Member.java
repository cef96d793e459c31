package distributedpool.internal.consul;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * A member as Consul shows it. These facts are static; its load is not among them.
 *
 * @param url without a final slash
 * @param specKeys the keys of a spec that it accepts; null for those of version 0.1.0
 * @param boot names its process; null for a member that does not remember requests
 * @param isPassing false while it drains, and once it is lost
 */
public record Member(
    String name,
    String url,
    Set<String> pools,
    String sandbox,
    List<String> specKeys,
    String boot,
    boolean isPassing) {
  private static final List<String> LEVELS = List.of("full", "no-cgroup", "none");
  private static final String MAX_CHILDREN = "maxChildren-";

  /** The member that an entry of Consul's health list describes; null for another program's. */
  static Member of(JsonNode entry) {
    JsonNode service = entry.path("Service");
    JsonNode meta = service.path("Meta");
    int port = service.path("Port").asInt();
    if (!meta.path("member").isTextual() || port == 0) return null;
    Set<String> pools = new HashSet<>();
    meta.fieldNames().forEachRemaining(key -> {
      if (key.startsWith(MAX_CHILDREN)) pools.add(key.substring(MAX_CHILDREN.length()));
    });
    String own = service.path("Address").asText();
    String address = own.isEmpty() ? entry.path("Node").path("Address").asText() : own;
    String host = address.contains(":") ? "[" + address + "]" : address;
    String scheme = meta.path("scheme").asText().equals("https") ? "https" : "http";
    boolean isPassing = true;
    for (JsonNode check : entry.path("Checks"))
      isPassing &= check.path("Status").asText().equals("passing");
    String spec = meta.path("spec").asText(null);
    return new Member(
        meta.get("member").asText(),
        scheme + "://" + host + ":" + port,
        pools,
        meta.path("sandbox").asText("none"),
        spec == null ? null : List.of(spec.split(" ")),
        meta.path("boot").asText(null),
        isPassing);
  }

  /** Whether its sandbox has the demanded level or a stronger one. */
  public boolean isAtLeast(String level) {
    int own = LEVELS.indexOf(sandbox);
    return (own < 0 ? LEVELS.size() - 1 : own) <= LEVELS.indexOf(level);
  }
}
