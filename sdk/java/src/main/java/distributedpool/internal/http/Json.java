package distributedpool.internal.http;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.StreamWriteConstraints;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.PoolException;

/** The one JSON mapper of the SDK. */
public final class Json {
  /** 128 Mi characters: more than a result of 16 MiB in which every byte is escaped. */
  public static final int MAX_CHARS = 128 * 1024 * 1024;

  /** The code of JSON that is nested too deeply. */
  public static final String TOO_LARGE = "payload_too_large";
  /** 2,000 levels, which Jackson still copies and writes on a stack of 1 MiB. */
  private static final int MAX_NESTING = 2_000;

  private static final StreamReadConstraints LIMITS =
      StreamReadConstraints.builder()
          .maxStringLength(MAX_CHARS)
          .maxNumberLength(MAX_CHARS)
          .maxNameLength(MAX_CHARS)
          .maxNestingDepth(MAX_NESTING)
          .build();

  private static final StreamWriteConstraints WRITTEN =
      StreamWriteConstraints.builder().maxNestingDepth(MAX_NESTING).build();

  /** Writes ASCII, because half a surrogate has no UTF-8. Skips keys of a newer contract. */
  public static final JsonMapper MAPPER =
      JsonMapper.builder(
              JsonFactory.builder()
                  .streamReadConstraints(LIMITS)
                  .streamWriteConstraints(WRITTEN)
                  .build())
          .enable(StreamReadFeature.USE_FAST_BIG_NUMBER_PARSER)
          .enable(JsonWriteFeature.ESCAPE_NON_ASCII)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .build();

  private Json() {}

  /** An empty object. */
  public static ObjectNode object() {
    return MAPPER.createObjectNode();
  }

  /**
   * The value of a text.
   *
   * @throws PoolException {@code payload_too_large} for more than 2,000 levels
   */
  public static JsonNode read(String text) throws JsonProcessingException {
    try {
      return MAPPER.readTree(text);
    } catch (StreamConstraintsException limit) {
      String detail = "expected JSON of at most " + MAX_NESTING + " levels; got more: ";
      throw PoolException.of(TOO_LARGE, detail + limit.getOriginalMessage(), null, limit);
    }
  }

  /** The model in a node; null where there is none. */
  public static <T> T model(JsonNode node, Class<T> type) {
    if (node == null || node.isNull() || node.isMissingNode()) return null;
    return MAPPER.convertValue(node, type);
  }

  /** The value as a node. */
  public static JsonNode node(Object value) {
    return MAPPER.valueToTree(value);
  }

  /** The text of a node. */
  public static String text(JsonNode node) {
    try {
      return MAPPER.writeValueAsString(node);
    } catch (JsonProcessingException error) {
      throw new IllegalStateException(error);
    }
  }

  /** The node as a JSON string, for messages. */
  public static String quoted(String text) {
    return text(MAPPER.getNodeFactory().textNode(text));
  }
}
