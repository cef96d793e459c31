/** The query parameters that several operations share. */
import { z } from "@hono/zod-openapi";
import { ChildStatusSchema } from "../resources.ts";

export const childFilter = {
  label: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .openapi({
      description:
        "`NAME=VALUE`, or `NAME` for any value: children with this label. A repeated parameter " +
        "selects children that have all of the labels.",
      example: "job=nightly",
    }),
  status: ChildStatusSchema.optional(),
};
