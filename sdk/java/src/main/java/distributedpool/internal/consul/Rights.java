package distributedpool.internal.consul;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import distributedpool.PoolException;
import distributedpool.internal.http.Answer;
import distributedpool.internal.http.Ask;
import distributedpool.internal.http.Http;
import distributedpool.internal.http.Json;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The rights of a token of Consul's ACLs. Consul filters a list that the token may not read, and
 * answers with an empty one, so the token's rights have to be asked for.
 */
record Rights(Http http, String url, Map<String, String> headers) {
  private static final int MAX_BYTES = 65_536;
  private static final List<String> RULES =
      List.of(
          "service \"distributed-pool\" { policy = \"read\" }",
          "node_prefix \"\" { policy = \"read\" }");

  /** The refusal of a token that lacks a right; null where it has them, or ACLs are off. */
  PoolException missing() throws IOException, InterruptedException {
    ArrayNode questions = Json.MAPPER.createArrayNode();
    questions.add(right("service", "distributed-pool")).add(right("node", ""));
    Ask ask = Ask.post(url + "/v1/internal/acl/authorize").json(questions).timeoutMs(2_000);
    headers.forEach(ask::header);
    Answer answer = http.send(ask);
    if (answer.status() == 403) {
      answer.body().close();
      return refusal("unauthorized", "it does not know the ACL token");
    }
    String text = answer.text(MAX_BYTES);
    if (answer.status() != 200) return null;
    JsonNode answers = Json.read(text);
    List<String> rules = new ArrayList<>();
    for (int at = 0; at < RULES.size(); at++)
      if (!answers.path(at).path("Allow").asBoolean(true)) rules.add(RULES.get(at));
    if (rules.isEmpty()) return null;
    String names = String.join(" and ", rules);
    if (headers.containsKey("x-consul-token"))
      return refusal("forbidden", "the ACL token lacks " + names);
    String none = "no ACL token is given (CONSUL_HTTP_TOKEN), and the anonymous one lacks ";
    return refusal("unauthorized", none + names);
  }

  private static JsonNode right(String resource, String segment) {
    return Json.object().put("Resource", resource).put("Access", "read").put("Segment", segment);
  }

  private static PoolException refusal(String code, String why) {
    return PoolException.of(code, "Consul refuses to show the members: " + why);
  }
}
