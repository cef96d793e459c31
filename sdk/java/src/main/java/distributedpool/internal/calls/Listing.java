package distributedpool.internal.calls;

import com.fasterxml.jackson.databind.JsonNode;
import distributedpool.PoolException;
import distributedpool.internal.http.Ask;
import distributedpool.internal.http.Http;
import distributedpool.internal.http.Json;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Questions to a member about the pools. */
public record Listing(Http http, Access access) {
  private static final int MAX_LIMIT = 1_000;
  /** 1,000 pages, which is a million entries. A longer listing is most likely an endless one. */
  private static final int MAX_PAGES = 1_000;

  /** One answer, of the path of a member that answers for all pools. */
  public <T> T one(String path, String key, Class<T> type) throws InterruptedException {
    return Json.model(asked(access.gateway() + path, key), type);
  }

  /**
   * All entries under the key, page by page.
   *
   * @param filters further parameters of the query, each with {@code &} before it
   * @throws PoolException {@code payload_too_large} after a million entries
   */
  public <T> List<T> all(String path, String filters, String key, Class<T> type)
      throws InterruptedException {
    List<T> entries = new ArrayList<>();
    String url = access.gateway() + path + "?limit=" + MAX_LIMIT + filters;
    String cursor = "";
    for (int count = 0; count < MAX_PAGES; count++) {
      JsonNode page = asked(url + cursor, key);
      for (JsonNode each : page.get(key)) entries.add(Json.model(each, type));
      String next = page.path("nextCursor").asText(null);
      if (next == null) return entries;
      cursor = "&cursor=" + URLEncoder.encode(next, StandardCharsets.UTF_8);
    }
    String detail = "expected a listing of at most " + MAX_PAGES + " pages";
    throw PoolException.of("payload_too_large", detail);
  }

  private JsonNode asked(String url, String key) throws InterruptedException {
    try {
      return http.json(Ask.get(url), key);
    } catch (PoolException error) {
      if (!Http.neverSent(error)) throw error;
      throw PoolException.of("no_members_available", error.getMessage(), null, error);
    }
  }
}
