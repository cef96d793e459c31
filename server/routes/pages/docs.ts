/**
 * The contract as documents, and its reference page: Swagger UI from the package itself, not from
 * other hosts.
 */
import { readFile } from "node:fs/promises";
import type { Context, Handler } from "hono";
import { buildDocument } from "../../../openapi/document.ts";
import { FORMS, forms } from "../../../openapi/documents/forms.ts";
import { PoolError } from "../../../openapi/errors.ts";

/** The folder of Swagger UI. The build copies its two files beside the bundle. */
const FOLDER = new URL(
  import.meta.url.endsWith(".ts") ? "../../../node_modules/swagger-ui-dist/" : "./docs/",
  import.meta.url,
);

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>distributed-pool</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="reference"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;
const SETTINGS = {
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "list",
  tryItOutEnabled: true,
  // Otherwise the page asks a host of the project for a badge.
  validatorUrl: null,
};
/** Where callers need a token, the page opens its box for one. */
const START = `const page = SwaggerUIBundle({
  ...${JSON.stringify(SETTINGS)},
  onComplete: async () => {
    const { status } = await fetch("/caller");
    if (status === 401)
      page.authActions.showDefinitions(page.authSelectors.definitionsToAuthorize());
  },
});
`;

const ASSETS = new Map([
  ["swagger-ui.css", "text/css"],
  ["swagger-ui-bundle.js", "text/javascript"],
  ["start.js", "text/javascript"],
]);

/**
 * Scripts run only from our own files, and no other site may frame the page (clickjacking).
 * Swagger UI sets inline styles and shows images as data.
 */
const POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "frame-ancestors 'none'";

/** A form of the contract, which is built when it is asked for first. */
function contract(name: (typeof FORMS)[number], publicUrl: string | undefined): Handler {
  let document: string | undefined;
  return (c) => {
    document ??= JSON.stringify(forms(buildDocument(publicUrl))[name]);
    c.header("content-type", "application/json");
    return c.body(document);
  };
}

function docsPage(c: Context): Response {
  c.header("content-security-policy", POLICY);
  return c.html(PAGE);
}

async function docsAsset(c: Context): Promise<Response> {
  const name = c.req.param("asset") ?? "";
  const type = ASSETS.get(name);
  if (!type)
    throw PoolError.of(
      "not_found",
      `expected one of ${[...ASSETS.keys()].join(", ")}; got ${name}`,
    );
  c.header("content-type", `${type}; charset=utf-8`);
  c.header("cache-control", "max-age=3600");
  return c.body(name === "start.js" ? START : await readFile(new URL(name, FOLDER)));
}

/**
 * The contract's pages by their paths, in the form of the contract's paths. They are read by `GET`.
 *
 * @param publicUrl the origin that the contract names as its server. Default: the member's own.
 */
export const docsPages = (publicUrl?: string): Readonly<Record<string, Handler>> => ({
  ...Object.fromEntries(FORMS.map((name) => [`/${name}`, contract(name, publicUrl)])),
  "/docs": docsPage,
  "/docs/{asset}": docsAsset,
});
