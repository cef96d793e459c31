/** The options of `npm run bench`. */
import { parseArgs } from "node:util";

export const USAGE = `npm run bench -- [options]

  --only NAME    One benchmark, or several with commas between them. Repeatable.
  --list         Print the names of the benchmarks.
  --json         Print the report as JSON instead of Markdown.
  --quick        A smoke run: seconds, without peers. Its figures mean nothing.
  --profile WAY  Measure one way of calling alone, such as "direct, SSE", and name the ten most
                 expensive functions of each member.
  --write-page   Write the tables and the chart of server/docs/performance.md.
  --help         This text.`;

export interface Options {
  readonly only: readonly string[];
  readonly list: boolean;
  readonly json: boolean;
  readonly quick: boolean;
  /** Default: no profile. */
  readonly profile?: string | undefined;
  readonly writePage: boolean;
  readonly help: boolean;
}

/** @throws for an unknown option, a value where none belongs, or options that exclude another. */
export function readOptions(args: readonly string[]): Options {
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", multiple: true, default: [] },
      list: flag,
      json: flag,
      quick: flag,
      profile: { type: "string" },
      "write-page": flag,
      help: { ...flag, short: "h" },
    },
  });
  const { only, "write-page": writePage, ...flags } = values;
  if (writePage && (only.length > 0 || flags.quick || flags.profile !== undefined))
    throw new Error("expected --write-page without --only, --quick and --profile; got both");
  return { ...flags, writePage, only: only.flatMap((names) => names.split(",")) };
}
