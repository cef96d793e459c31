/** Generators of Go and of Python that are programs of their own language. */
import { documentPath, type Generator, PYTHON, TOOLS } from "./generator.ts";
import type { Command } from "./steps.ts";

const document = "openapi.sdk.json";

const tool = (module: string): Command => ({
  argv: ["go", "install", module],
  env: { GOBIN: `${TOOLS}/go` },
});

const compile: readonly Command[] = [
  { argv: ["go", "mod", "tidy"] },
  { argv: ["go", "build", "./client"] },
];
const call: readonly Command[] = [{ argv: ["go", "run", "."] }];

export const OTHERS: readonly Generator[] = [
  {
    name: "openapi-python-client",
    title: "openapi-python-client",
    document,
    needs: [`${PYTHON}/openapi-python-client`],
    generate: [
      {
        argv: [
          ...([`${PYTHON}/openapi-python-client`, "generate", "--meta", "none"] as const),
          ...["--path", documentPath(document), "--output-path", "pool_client"],
          ...["--config", "config.yaml"],
        ],
      },
    ],
    compile: [{ argv: [`${PYTHON}/python`, "-m", "compileall", "-q", "pool_client"] }],
    call: [{ argv: [`${PYTHON}/python`, "call.py"] }],
    notes: { stream: "raw" },
  },
  {
    name: "oapi-codegen",
    title: "oapi-codegen",
    document,
    needs: ["go"],
    install: [tool("github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2")],
    generate: [
      { argv: ["mkdir", "-p", "client"] },
      { argv: [`${TOOLS}/go/oapi-codegen`, "--config", "config.yaml", documentPath(document)] },
    ],
    compile,
    call,
    notes: { stream: "raw" },
  },
  {
    name: "ogen",
    title: "ogen",
    document,
    needs: ["go"],
    install: [tool("github.com/ogen-go/ogen/cmd/ogen@v1.24.0")],
    generate: [
      {
        argv: [
          ...([`${TOOLS}/go/ogen`, "--config", "ogen.yml", "--target", "client"] as const),
          ...["--package", "client", "--clean", documentPath(document)],
        ],
      },
    ],
    compile,
    call,
    notes: { stream: "typed events" },
  },
];
