/**
 * The portable entry of the package `@distributed-pool/sdk`, on fetch: for browsers, Node, Bun and
 * Deno. It runs work on the least loaded machine of a named pool.
 */
export { Child } from "./child.ts";
export type { DistributedPoolOptions } from "./connection.ts";
export type { Fetch } from "./http/fetch-transport.ts";
export { outputBytes } from "./http/output.ts";
export { DistributedPool } from "./pool.ts";
export * from "./shared.ts";
