/** Names and ids: of pools, members, children, slots, tasks and sources. */
import { z } from "@hono/zod-openapi";
import { ID, IDEMPOTENCY_KEY, NAME, NAME_RULE } from "../names.ts";
import { matching } from "./values.ts";

export const PoolNameSchema = matching(NAME, `expected a pool name: ${NAME_RULE}`).openapi(
  "PoolName",
  { description: `The name of a pool: ${NAME_RULE}.`, example: "pipeline" },
);

export const MemberNameSchema = matching(NAME, `expected a member name: ${NAME_RULE}`).openapi(
  "MemberName",
  { description: `The name of a member: ${NAME_RULE}.`, example: "m1" },
);

export const ChildIdSchema = matching(
  ID,
  "expected a child id: a member name, a dot, 32 hexadecimal digits",
).openapi("ChildId", {
  description: "The id of a child: the name of its member, a dot, and 32 hexadecimal digits.",
  example: "m1.5f0c2c8d4b1e4f2f9a3f6f0f2d6c1b7e",
});

export const SlotIdSchema = matching(
  ID,
  "expected a slot id: a member name, a dot, 32 hexadecimal digits",
).openapi("SlotId", {
  description: "The id of a slot: the name of its member, a dot, and 32 hexadecimal digits.",
  example: "m1.0a6b7f5e9d0c4c1fb7a9d2f1c3e5a7b9",
});

export const SourceHashSchema = matching(
  /^sha256:[0-9a-f]{64}$/,
  "expected sha256: and 64 hexadecimal digits",
).openapi("SourceHash", {
  description: "The name of a source: `sha256:` and the SHA-256 of its UTF-8 bytes.",
  example: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
});

/** The name of a task is that of the operator's file, without its extension. */
export const TaskNameSchema = matching(NAME, `expected a task name: ${NAME_RULE}`).openapi(
  "TaskName",
  {
    description: "The name of a task: that of the operator's file, without its extension.",
    example: "thumbnails",
  },
);

export const RuntimeNameSchema = matching(
  NAME,
  `expected the name of a runtime: ${NAME_RULE}`,
).openapi("RuntimeName", {
  description:
    "The name of a runtime: `node`, `bun`, `python`, or one that the operator configured.",
  example: "node",
});

/** A key that is no key, as a message shows it. Only its begin: it may be long. */
function shownKey(key: string): string {
  const begin = JSON.stringify(key.slice(0, 20));
  return key.length > 20 ? `${begin} … (${key.length} characters)` : begin;
}

export const IdempotencyKeySchema = z
  .string()
  .regex(IDEMPOTENCY_KEY, {
    error: ({ input }) =>
      `expected 1 to 255 visible ASCII characters; got ${shownKey(String(input))}`,
  })
  .openapi("IdempotencyKey", {
    description:
      "A key of the caller's own, which starts one child at most. The same key again is answered " +
      "with the same child. Another spec under the same key is refused: `idempotency_conflict`. " +
      "Keys of other callers, and of other pools, are other keys.",
    minLength: 1,
    maxLength: 255,
    pattern: IDEMPOTENCY_KEY.source,
    example: "nightly-2026-11-27",
  });
