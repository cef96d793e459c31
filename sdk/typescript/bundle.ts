/** A function with everything that it imports, as one module that can be sent. */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { BuildFailure, Message } from "esbuild";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import type { FunctionAt, PoolFunction, Runs } from "./functions.ts";
import { hashOf } from "./http/send-spec.ts";

/** An ES module that holds a function and all that it needs but Node's own modules. */
export interface Bundle<F extends PoolFunction = PoolFunction> extends Runs<F> {
  readonly source: string;
  /** Names the source: a member that keeps it is not sent it again. */
  readonly hash: string;
  /** The function's name among the module's exports. */
  readonly export: string;
}

/** `export` may be left out for the default export only. */
type BundleOptions<K extends string> = { readonly export: K };
type Given<K extends string> = K extends "default"
  ? [options?: Partial<BundleOptions<K>>]
  : [options: BundleOptions<K>];

/**
 * Bundles a module and its dependencies, for {@link DistributedPool.call}. Do it once and call it often: the members keep the
 * source, so that later calls send its hash alone. Wants the package `esbuild`, which is not installed along.
 *
 * @typeParam M the module, of whose export arguments and value are inferred; without it they are unknown.
 * @typeParam K the export's name, where that is not `default`.
 * @param url of the module, a `file:` URL: `new URL("./thumbnails.ts", import.meta.url)`. TypeScript is fine.
 * @param options `export`: the function's name among the module's exports. Default `default`.
 * @throws {PoolError} `invalid_request` without esbuild, for a module that cannot be bundled, with esbuild's messages, and for
 *   an export that does not exist.
 * @example
 * const thumbnails = await bundle<typeof import("./thumbnails.ts")>(new URL("./thumbnails.ts", import.meta.url));
 * const images = await pools.call("pipeline", thumbnails, film);
 */
export async function bundle<
  M extends object = Record<string, PoolFunction>,
  const K extends string = "default",
>(url: URL, ...[options]: Given<K>): Promise<Bundle<FunctionAt<M, K>>> {
  const name = options?.export ?? "default";
  if (url.protocol !== "file:")
    throw PoolError.of("invalid_request", `expected a file: URL of a module; got ${url}`);
  const entry = fileURLToPath(url);
  const { build } = await import("esbuild").catch((error: unknown) => {
    throw PoolError.of(
      "invalid_request",
      `bundle() wants the package esbuild: npm install esbuild (${messageOf(error)})`,
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
    metafile: true,
    logLevel: "silent",
    charset: "utf8",
    // Paths in the source's comments, and with them its hash, are the same wherever the program is started.
    absWorkingDir: dirname(entry),
  }).catch((error: BuildFailure) => {
    throw PoolError.of(
      "invalid_request",
      `cannot bundle ${url}: ${error.errors?.map(describe).join("; ") ?? messageOf(error)}`,
      { cause: error },
    );
  });
  const exports = Object.values(built.metafile.outputs)[0]?.exports ?? [];
  if (!exports.includes(name))
    throw PoolError.of(
      "invalid_request",
      `expected an export ${name} of ${url}; it has ${exports.join(", ") || "none"}`,
    );
  const source = built.outputFiles[0]?.text ?? "";
  return { source, hash: hashOf(source), export: name };
}

function describe({ text, location }: Message): string {
  return location ? `${location.file}:${location.line}:${location.column}: ${text}` : text;
}
