/** Names and ids: of pools, members, children, slots, tasks and sources. */
import { z } from "@hono/zod-openapi";
import { NAME, NAME_RULE } from "../names.ts";

export const PoolNameSchema = z
  .string()
  .regex(NAME, `expected a pool name: ${NAME_RULE}`)
  .openapi("PoolName", { example: "pipeline" });

export const MemberNameSchema = z
  .string()
  .regex(NAME, `expected a member name: ${NAME_RULE}`)
  .openapi("MemberName", { example: "m1" });

const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}\.[0-9a-f]{32}$/;

export const ChildIdSchema = z
  .string()
  .regex(ID, "expected a child id: a member name, a dot, 32 hexadecimal digits")
  .openapi("ChildId", { example: "m1.5f0c2c8d4b1e4f2f9a3f6f0f2d6c1b7e" });

export const SlotIdSchema = z
  .string()
  .regex(ID, "expected a slot id: a member name, a dot, 32 hexadecimal digits")
  .openapi("SlotId");

/** The hash that names a source: SHA-256 of its UTF-8 bytes. */
export const SourceHashSchema = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, "expected sha256: and 64 hexadecimal digits")
  .openapi("SourceHash");

/** The name of a task is that of the operator's file, without its extension. */
export const TaskNameSchema = z
  .string()
  .regex(NAME, `expected a task name: ${NAME_RULE}`)
  .openapi("TaskName", { example: "thumbnails" });
