/** The options of all commands; those of a member are in `member/`. */
import { z } from "zod";
import { shown } from "../../member/options/expectation.ts";
import { whole } from "../../member/options/option.ts";
import { DEFAULTS } from "../../member/options.ts";
import { ASKING_OPTIONS } from "./asking.ts";
import { LOG_OPTIONS } from "./log.ts";
import type { CliOption } from "./spec.ts";
import { TOKEN_OPTIONS } from "./token.ts";

const MAX_CHILDREN = 10_000;

/** `NAME=MAX`, or `NAME` with the default number of children. */
const poolFlag = z.string().transform((text, context): [name: string, maxChildren: number] => {
  const [name = "", max = String(DEFAULTS.maxChildren), ...rest] = text.split("=");
  if (name === "" || rest.length > 0) context.addIssue("expected NAME=MAX, such as pipeline=5");
  else if (!/^\d+$/.test(max) || Number(max) < 1 || Number(max) > MAX_CHILDREN)
    context.addIssue(`expected a whole number from 1 to ${MAX_CHILDREN}; got ${shown(max)}`);
  return [name, Number(max)];
});

export const CLI_OPTIONS = {
  dev: {
    doc: "Read the file as `dev` would, not as `serve`.",
    schema: z.boolean(),
    commands: ["check-config"],
  },
  members: {
    value: "N",
    doc: "How many members to run in this process.",
    schema: whole(1, 100),
    default: 3,
    commands: ["dev", "check-config"],
  },
  config: {
    value: "FILE",
    doc:
      "A YAML file: the words of the flags in camelCase, and pools with their limits and grants. " +
      "Flags and variables win over it.",
    commands: ["serve", "dev", "doctor"],
  },
  pool: {
    value: "NAME=MAX",
    doc:
      "A pool to serve, and how many children at most at a time " +
      `(default ${DEFAULTS.maxChildren}). Repeatable.`,
    schema: z.array(poolFlag),
    reload: true,
    commands: ["serve", "dev", "check-config", "doctor", "init"],
  },
  ...LOG_OPTIONS,
  ...ASKING_OPTIONS,
  ...TOKEN_OPTIONS,
} as const satisfies Readonly<Record<string, CliOption>>;
