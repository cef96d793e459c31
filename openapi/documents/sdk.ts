/**
 * The form for generators, OpenAPI 3.1: each operation has one type of request and one of answer,
 * so a generated client needs no `Accept` of its own. The operations keep their names.
 */
import { isNode, mapSchemas, mapValues, type Node, pruned, without } from "./walk.ts";

/** The media types of an answer, the preferred one first. */
const ANSWERS = ["application/json", "text/event-stream", "application/octet-stream"];

/** Keywords that refuse values but give no type: some generators stop at them. */
const REFUSALS = [
  "prefixItems",
  "propertyNames",
  "not",
  "contentEncoding",
  "contentMediaType",
  "contentSchema",
];

/**
 * Parameters that a body of JSON replaces, for it is the spec and has the key; and the header of
 * streams to continue, with which nothing starts.
 */
const BESIDE_JSON = ["spec", "pool-spec", "idempotency-key", "last-event-id"];

/** Headers that instrumented clients add by themselves. */
const TRACES = ["traceparent", "tracestate"];

/** @param document in its canonical form. */
export function sdkForm(document: Node): Node {
  const paths = mapValues(document.paths as Node, (methods) =>
    mapValues(methods as Node, (operation) => singleForms(operation as Node)),
  );
  const components = document.components as Node;
  const schemas = mapValues(components.schemas as Node, (schema, name) =>
    withoutItself(schema as Node, name),
  );
  const all = { ...document, paths, components: { ...components, schemas } };
  return pruned(mapSchemas(all, schemaForm));
}

/** ogen stops at a schema that has itself as a property. Such a property may be any value. */
function withoutItself(schema: Node, name: string): Node {
  const ref = `#/components/schemas/${name}`;
  const { properties } = schema;
  if (!isNode(properties)) return schema;
  const any = { description: `A value like this one: \`${name}\`.` };
  const isItself = (each: unknown) => isNode(each) && each.$ref === ref;
  return { ...schema, properties: mapValues(properties, (each) => (isItself(each) ? any : each)) };
}

/** A schema without what some generators cannot take: see `REFUSALS`, and text beside objects. */
function schemaForm(schema: Node): Node {
  const { oneOf } = schema;
  // Some generators cannot name the type of a boolean or a text.
  const isMixed = Array.isArray(schema.type) && !schema.type.includes("null");
  const plain = without(schema, ...REFUSALS, ...(isMixed ? ["type", "enum"] : []));
  if (!Array.isArray(oneOf) || !oneOf.some(({ $ref }) => $ref)) return plain;
  // `{"text": ...}` says the same as the text.
  return { ...plain, oneOf: oneOf.filter(({ type }) => type !== "string") };
}

function singleForms(operation: Node): Node {
  const responses = oneAnswer(operation.responses as Node);
  const body = operation.requestBody;
  if (!isNode(body)) return { ...operation, responses };
  const content = preferred(body.content as Node, ["application/json"]);
  const given = (operation.parameters ?? []) as readonly Node[];
  const isBeside = ({ name }: Node) => BESIDE_JSON.includes(String(name));
  const isTrace = ({ name }: Node) => TRACES.includes(String(name));
  const parameters = given.filter(
    (each) => !isTrace(each) && !(content["application/json"] && isBeside(each)),
  );
  return { ...operation, parameters, requestBody: { ...body, content }, responses };
}

/** The refusals, and the success whose media type is preferred, in that type alone. */
function oneAnswer(responses: Node): Node {
  const successes = Object.entries(responses).filter(([status]) => Number(status) < 400);
  const contentOf = (answer: unknown) => ((answer as Node).content ?? {}) as Node;
  const type = ANSWERS.find((each) => successes.some(([, answer]) => contentOf(answer)[each]));
  const [chosen] = successes.find(([, answer]) => !type || contentOf(answer)[type]) ?? [];
  return mapValues(responses, (answer, status) => {
    if (Number(status) >= 400) return answer;
    if (status !== chosen) return undefined;
    const content = type && preferred(contentOf(answer), [type]);
    // ogen does not compile a stream that has headers. Its event `placed` says the same.
    const kept = type === "text/event-stream" ? without(answer as Node, "headers") : answer;
    return content ? { ...(kept as Node), content } : answer;
  });
}

/** The content of the first of these types that there is, or else of its own first one. */
function preferred(content: Node, types: readonly string[]): Node {
  const type = types.find((each) => content[each]) ?? Object.keys(content)[0] ?? "";
  return { [type]: content[type] };
}
