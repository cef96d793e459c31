/** The types of the contract in TypeScript, for code that has no schemas: the SDK. */
import openapiTS, { astToString, type OpenAPI3 } from "openapi-typescript";
import ts from "typescript";
import type { buildDocument } from "../openapi/document.ts";

const HEAD = "/** Generated from the contract by `npm run openapi`. Do not edit. */\n\n";

/** The source of a module with one exported type for each schema of the document. */
export async function contractTypes(document: ReturnType<typeof buildDocument>): Promise<string> {
  const { paths: _, ...schemas } = structuredClone(document);
  const nodes = await openapiTS({ ...schemas, paths: {} } as OpenAPI3, {
    rootTypes: true,
    rootTypesNoSchemaPrefix: true,
    // A key that has a default may be left out of a request.
    defaultNonNullable: false,
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
