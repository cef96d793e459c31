/** The options of `dpool token`: the rights and the quotas of the new token. */
import { z } from "zod";
import { SCOPES } from "../../access/caller.ts";
import { MAX_QUOTA } from "../../access/quotas.ts";
import { whole } from "../../member/options/option.ts";

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
  maxChildren: {
    value: "N",
    doc: "Children and held slots of the token at a time, in all pools of a member.",
    otherwise: "the member's --max-children-per-caller",
    schema: whole(1, MAX_QUOTA),
    commands: ["token"],
  },
  maxSlots: {
    value: "N",
    doc: "Children and held slots of the token at a time, in each pool of a member.",
    otherwise: "the pool's maxChildrenPerCaller",
    schema: whole(1, MAX_QUOTA),
    commands: ["token"],
  },
  maxRate: {
    value: "N",
    doc: "Requests of the token a second on a member.",
    otherwise: "the member's --max-rate",
    schema: whole(1, MAX_QUOTA),
    commands: ["token"],
  },
  maxStreams: {
    value: "N",
    doc: "Streams of the token open at a time on a member.",
    otherwise: "the member's --max-streams",
    schema: whole(1, MAX_QUOTA),
    commands: ["token"],
  },
} as const;
