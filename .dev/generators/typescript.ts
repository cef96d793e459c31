/** Generators of TypeScript, from npm. */
import { BIN, documentPath, type Generator, TOOLS } from "./generator.ts";
import type { Command } from "./steps.ts";

const ORVAL = "orval@8.38.0";
const STRICT =
  "--strict --noEmit --skipLibCheck --target es2023 --lib es2024,dom,dom.asynciterable";

/** Checks the types of one file, or of all of the folder. */
export function typeChecked(file?: string): Command {
  if (!file) return { argv: [`${BIN}/tsc`, "-p", "."] };
  const options = `${STRICT} --module esnext --moduleResolution bundler --types node`.split(" ");
  return { argv: [`${BIN}/tsc`, "--ignoreConfig", ...options, file] };
}

/** Bundles `call.ts`, because generated imports carry no endings, and runs it. */
export function bundled(): readonly Command[] {
  const options = ["--bundle", "--platform=node", "--format=esm", "--outfile=call.mjs"];
  return [
    { argv: [`${BIN}/esbuild`, "call.ts", ...options, "--log-level=warning"] },
    { argv: [`${BIN}/node`, "call.mjs"] },
  ];
}

const document = "openapi.sdk.json";
const compile = [typeChecked("client/index.ts")];
const call = [typeChecked(), ...bundled()];
const env = { DOCUMENT: documentPath(document) };
const orval: Command["argv"] = [
  `${TOOLS}/npm/node_modules/.bin/orval`,
  "--config",
  "orval.config.mjs",
];

export const TYPESCRIPT: readonly Generator[] = [
  {
    name: "hey-api",
    title: "hey-api",
    document,
    needs: [],
    generate: [
      {
        argv: [`${BIN}/openapi-ts`, "-i", documentPath(document), "-o", "client", "--no-log-file"],
      },
    ],
    compile,
    call,
    notes: { stream: "typed events" },
  },
  {
    name: "orval",
    title: "orval",
    document,
    needs: ["npm"],
    install: [
      {
        argv: [
          ...(["npm", "install", "--prefix", `${TOOLS}/npm`, "--no-fund", "--no-audit"] as const),
          ...["--loglevel=error", ORVAL],
        ],
      },
    ],
    generate: [{ argv: orval, env }],
    compile,
    call,
    notes: { stream: "the whole text at the end" },
  },
];
