package distributedpool;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;

/**
 * A condition for the children in a listing.
 *
 * <pre>{@code
 * pool.children("pipeline", ChildFilter.label("job", "nightly"), ChildFilter.status("running"));
 * }</pre>
 */
public final class ChildFilter {
  private final String parameter;

  private ChildFilter(String name, String value) {
    parameter = "&" + name + "=" + URLEncoder.encode(value, StandardCharsets.UTF_8);
  }

  /**
   * Children with a label, whatever its value.
   *
   * @param name of the label
   * @return the filter
   */
  public static ChildFilter label(String name) {
    return new ChildFilter("label", name);
  }

  /**
   * Children with a label of one value.
   *
   * @param name of the label
   * @param value of the label
   * @return the filter
   */
  public static ChildFilter label(String name, String value) {
    return new ChildFilter("label", name + "=" + value);
  }

  /**
   * Children with a status.
   *
   * @param status such as {@code running}
   * @return the filter
   */
  public static ChildFilter status(String status) {
    return new ChildFilter("status", status);
  }

  /** The parameters of a query, each with {@code &} before it. */
  static String query(ChildFilter... filters) {
    StringBuilder query = new StringBuilder();
    for (ChildFilter each : filters) query.append(each.parameter);
    return query.toString();
  }
}
