/** The types of the contract in TypeScript, for code that has no schemas: the SDK. */
import openapiTS, { astToString, type OpenAPI3 } from "openapi-typescript";
import ts from "typescript";
import type { buildDocument } from "../openapi/document.ts";
import { mapSchemas, without } from "../openapi/documents/walk.ts";

const HEAD = "/** Generated from the contract by `npm run openapi`. Do not edit. */\n\n";

/** Nothing in the SDK has these types: they belong to operations that it does not call. */
const LEFT_OUT = [
  "Caller",
  "ChildChange",
  "ChildEvent",
  "FeedEvent",
  "History",
  "LoadEvent",
  "MemberEvent",
  "PoolHistory",
  "QueueEvent",
  "ResetEvent",
  "RunResult",
  "SignalRequest",
  "SlotRequest",
  "SyncedEvent",
  "Written",
] as const;

/** The source of a module with one exported type for each schema of the document. */
export async function contractTypes(document: ReturnType<typeof buildDocument>): Promise<string> {
  const { paths: _, components, ...rest } = document;
  const kept = without(components?.schemas ?? {}, ...LEFT_OUT);
  const schemas = { ...rest, components: { ...components, schemas: kept } };
  // A command is a list of any length, not a pair of its program and the rest. Examples would double
  // the size of the types.
  const typed = mapSchemas(schemas, (schema) =>
    without(schema, "prefixItems", "example", "examples"),
  );
  const nodes = await openapiTS({ ...typed, paths: {} } as unknown as OpenAPI3, {
    rootTypes: true,
    rootTypesNoSchemaPrefix: true,
    // A key with a default may be left out.
    defaultNonNullable: false,
    transform: extensible,
    // An optional key may also be there and be undefined, as callers write it.
    transformProperty: (property) =>
      property.questionToken && property.type
        ? ts.factory.updatePropertySignature(
            property,
            property.modifiers,
            property.name,
            property.questionToken,
            ts.factory.createUnionTypeNode([
              property.type,
              ts.factory.createKeywordTypeNode(ts.SyntaxKind.UndefinedKeyword),
            ]),
          )
        : property,
  });
  return HEAD + astToString(nodes);
}

/** The known values of an open list, and any other string. */
function extensible(schema: object): ts.TypeNode | undefined {
  const values = (schema as Readonly<Record<string, readonly string[] | undefined>>)[
    "x-extensible-enum"
  ];
  if (!values) return undefined;
  const known = values.map((value) =>
    ts.factory.createLiteralTypeNode(ts.factory.createStringLiteral(value)),
  );
  const other = ts.factory.createIntersectionTypeNode([
    ts.factory.createKeywordTypeNode(ts.SyntaxKind.StringKeyword),
    ts.factory.createTypeLiteralNode([]),
  ]);
  return ts.factory.createUnionTypeNode([...known, other]);
}
