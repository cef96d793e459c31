/** The options of `dpool token`: what the holder of the new token may do. */
import { z } from "zod";
import { SCOPES } from "../../access/caller.ts";

export const TOKEN_OPTIONS = {
  scope: {
    value: "SCOPE",
    doc:
      "`call`: place children, and follow and stop one's own. `observe`: see all. " +
      "`admin`: everything. Repeatable.",
    otherwise: "call and observe",
    schema: z.array(z.enum(SCOPES)),
    commands: ["token"],
  },
  in: {
    value: "POOL",
    doc: "A pool that the token is for. Repeatable.",
    otherwise: "all pools",
    schema: z.array(z.string()),
    commands: ["token"],
  },
} as const;
