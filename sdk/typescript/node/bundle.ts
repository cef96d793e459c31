/** Bundles a function with all that it imports into one module, which can be sent. */
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { BuildFailure, Message } from "esbuild";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import type { Bundle, FunctionAt, PoolFunction } from "../functions.ts";
import { hashOf } from "./hash.ts";

/** 4 MiB of JSON: members take no longer source. */
const MAX_SOURCE_BYTES = 4 * 1024 * 1024;

/** The options as a parameter, which only a bundle of the default export may leave out. */
type OptionsOf<K extends string> = K extends "default"
  ? [options?: { readonly export?: K }]
  : [options: { readonly export: K }];

/**
 * Bundles a module and its dependencies for {@link DistributedPool.call}. Bundle once and call
 * often: the members keep the source, so that later calls send its hash alone. Requires the package
 * `esbuild`, which is not installed with this one.
 *
 * The bundle contains a source map without the sources, so that stacks name the files and lines of
 * the sources. It has no map when it would be too large to be sent with one.
 *
 * @typeParam M the module, whose export gives the types of the arguments and the value. Default:
 *   they are unknown.
 * @typeParam K the name of the export. Default `default`.
 * @param url the `file:` URL of the module, in JavaScript or TypeScript.
 * @param options `export`: the name of the function among the module's exports. Default `default`.
 * @throws {PoolError} `invalid_request` without esbuild; for a module that esbuild cannot bundle,
 *   with its messages; for an export that does not exist.
 * @example
 * const url = new URL("./thumbnails.ts", import.meta.url);
 * const thumbnails = await bundle<typeof import("./thumbnails.ts")>(url);
 * const images = await pools.call("pipeline", thumbnails, film);
 */
export async function bundle<
  M extends object = Record<string, PoolFunction>,
  const K extends string = "default",
>(url: URL, ...[options]: OptionsOf<K>): Promise<Bundle<FunctionAt<M, K>>> {
  const name = options?.export ?? "default";
  if (url.protocol !== "file:")
    throw PoolError.of("invalid_request", `expected a file: URL of a module; got ${url}`);
  const entry = fileURLToPath(url);
  const { build } = await import("esbuild").catch((error: unknown) => {
    throw PoolError.of(
      "invalid_request",
      `bundle() needs the package esbuild: npm install esbuild (${messageOf(error)})`,
      { cause: error },
    );
  });
  const built = await build({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node22",
    write: false,
    outfile: join(dirname(entry), "bundle.mjs"),
    sourcemap: "external",
    sourcesContent: false,
    metafile: true,
    logLevel: "silent",
    charset: "utf8",
    // esbuild writes paths into comments. From a fixed folder they give the same hash each time.
    absWorkingDir: dirname(entry),
  }).catch((error: BuildFailure) => {
    throw PoolError.of(
      "invalid_request",
      `cannot bundle ${url}: ${error.errors?.map(describe).join("; ") ?? messageOf(error)}`,
      { cause: error },
    );
  });
  const exports = Object.values(built.metafile.outputs).flatMap((output) => output.exports);
  if (!exports.includes(name))
    throw PoolError.of(
      "invalid_request",
      `expected an export ${name} of ${url}; it has ${exports.join(", ") || "none"}`,
    );
  const [map = "", code = ""] = built.outputFiles.map(({ text }) => text);
  const mapped = code + mapComment(map, dirname(entry));
  const source = Buffer.byteLength(JSON.stringify(mapped)) > MAX_SOURCE_BYTES ? code : mapped;
  return { source, hash: hashOf(source), export: name };
}

/**
 * The source map as the last line of a module. Its paths begin at the innermost folder that has all
 * sources, so that they tell nothing about the folders around it.
 *
 * @param folder the one in which the paths of the map begin.
 */
function mapComment(text: string, folder: string): string {
  const map = JSON.parse(text) as { sources: string[] };
  const above = Math.max(0, ...map.sources.map((path) => path.split("../").length - 1));
  const root = join(folder, "../".repeat(above));
  const sources = map.sources.map((path) => relative(root, join(folder, path)));
  const json = Buffer.from(JSON.stringify({ ...map, sources })).toString("base64");
  return `\n//# sourceMappingURL=data:application/json;base64,${json}\n`;
}

function describe({ text, location }: Message): string {
  return location ? `${location.file}:${location.line}:${location.column}: ${text}` : text;
}
