/** The dashboard: its files, as they are. The page asks the contract's operations for all data. */
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Context, Handler } from "hono";
import { PoolError } from "../../../openapi/errors.ts";
import type { DirectAccess } from "../../../sdk/typescript/placement/direct-access.ts";

const isSource = import.meta.url.endsWith(".ts");
/** The folder of the files. The build copies it beside the bundle. */
const FOLDER = new URL(isSource ? "../../dashboard/" : "./dashboard/", import.meta.url);
const PACKAGES = new URL("../../../node_modules/", import.meta.url);

/** The files of packages. The build copies them into `lib/`. */
const LIBRARIES: Readonly<Record<string, string>> = {
  "lib/preact.mjs": "preact/dist/preact.mjs",
  "lib/hooks.mjs": "preact/hooks/dist/hooks.mjs",
  "lib/htm.module.js": "htm/dist/htm.module.js",
  "lib/uPlot.esm.js": "uplot/dist/uPlot.esm.js",
  "lib/uPlot.min.css": "uplot/dist/uPlot.min.css",
};

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html",
  css: "text/css",
  js: "text/javascript",
  mjs: "text/javascript",
  svg: "image/svg+xml",
};

/** The page may look whether 20 other members live, to continue at one when this one is gone. */
const MAX_OTHERS = 20;

export interface OtherOrigins {
  /** The origin at which callers reach the members through a proxy. */
  readonly publicUrl?: string | undefined;
  /** The members, the other ones of which the page may look at. */
  readonly access?: Pick<DirectAccess, "urls">;
}

interface File {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly tag: string;
}

const hashOf = (bytes: string | Uint8Array) => createHash("sha256").update(bytes).digest("base64");

/** The files that there are, so that a path never leaves the folder. */
const names = new Set([
  ...readdirSync(FOLDER, { recursive: true }).map(String),
  ...Object.keys(LIBRARIES),
]);
const files = new Map<string, Promise<File>>();

async function read(name: string, type: string): Promise<File> {
  const library = isSource ? LIBRARIES[name] : undefined;
  const body = await readFile(library ? new URL(library, PACKAGES) : new URL(name, FOLDER));
  return { body, type: `${type}; charset=utf-8`, tag: `"${hashOf(body)}"` };
}

/** @throws {PoolError} `not_found`. */
function fileOf(name: string): Promise<File> {
  const type = TYPES[/\.(\w+)$/.exec(name)?.[1] ?? ""];
  if (!names.has(name) || type === undefined)
    throw PoolError.of("not_found", `the dashboard has no file ${name.slice(0, 255)}`);
  const file = (!isSource && files.get(name)) || read(name, type);
  files.set(name, file);
  return file;
}

/** A browser asks each time whether the file has changed: pages of two versions do not mix. */
function send(c: Context, { body, type, tag }: File): Response {
  c.header("etag", tag);
  c.header("cache-control", "no-cache");
  if (c.req.header("if-none-match") === tag) return c.body(null, 304);
  c.header("content-type", type);
  c.header("x-content-type-options", "nosniff");
  return c.body(body);
}

/** Scripts and styles come from our own files alone, but for the map of the packages' names. */
function policy(html: string, others: readonly string[]): string {
  const [, map = ""] = /<script type="importmap">([\s\S]*?)<\/script>/.exec(html) ?? [];
  return [
    "default-src 'self'",
    `script-src 'self' 'sha256-${hashOf(map)}'`,
    ["connect-src 'self'", ...others].join(" "),
    "img-src 'self' data:",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** Behind a public URL another member answers at the same origin, so none is looked at. */
async function othersOf({ access, publicUrl }: OtherOrigins): Promise<string[]> {
  if (!access || publicUrl !== undefined) return [];
  const urls = await access.urls().catch(() => []);
  return urls.slice(0, MAX_OTHERS).map((url) => new URL(url).origin);
}

export function dashboardPages(options: OtherOrigins): Readonly<Record<string, Handler>> {
  return {
    "/": async (c) => {
      const page = await fileOf("index.html");
      const html = new TextDecoder().decode(page.body);
      c.header("content-security-policy", policy(html, await othersOf(options)));
      c.header("referrer-policy", "no-referrer");
      return send(c, page);
    },
    "/dashboard/{path}": async (c) => send(c, await fileOf(c.req.param("path") ?? "")),
  };
}
