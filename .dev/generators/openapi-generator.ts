/** openapi-generator's clients. Maven brings its program. */
import { existsSync } from "node:fs";
import { documentPath, type Generator, TOOLS } from "./generator.ts";
import type { Command } from "./steps.ts";
import { bundled, typeChecked } from "./typescript.ts";

const VERSION = "7.25.0";
const JAR = `${TOOLS}/openapi-generator-cli-${VERSION}.jar`;

const INSTALL: readonly Command[] = existsSync(JAR)
  ? []
  : [
      {
        argv: [
          ...([
            "mvn",
            "-q",
            "-B",
            "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
          ] as const),
          `-Dartifact=org.openapitools:openapi-generator-cli:${VERSION}`,
          `-DoutputDirectory=${TOOLS}`,
        ],
      },
    ];

type Parts = Omit<Generator, "title" | "document" | "install" | "generate" | "needs"> & {
  readonly needs?: readonly string[];
  readonly document?: Generator["document"];
  readonly properties?: string;
  readonly clean?: Command;
};

function openapiGenerator({ properties, clean, ...parts }: Parts): Generator {
  const document = parts.document ?? "openapi.3.0.json";
  const argv: Command["argv"] = [
    "java",
    "-Dlog.level=warn",
    "-jar",
    JAR,
    "generate",
    "-g",
    parts.name,
    "-o",
    "client",
  ];
  const more = properties ? [`--additional-properties=${properties}`] : [];
  return {
    ...parts,
    title: `openapi-generator ${parts.name}`,
    document,
    needs: ["java", "mvn", ...(parts.needs ?? [])],
    install: INSTALL,
    generate: [
      { argv: [...argv, "-i", documentPath(document), ...more] },
      ...(clean ? [clean] : []),
    ],
  };
}

const SITE = { PYTHONPATH: "client:site" };
const RUST_ISSUE = "https://github.com/OpenAPITools/openapi-generator/issues/22344";
const RUST_EVENTS = `raw; \`PoolEvent\` does not decode ([a bug](${RUST_ISSUE})), each event does`;
const FILE = { stream: "a file, at the end" };

export const OPENAPI_GENERATOR: readonly Generator[] = [
  openapiGenerator({
    name: "python",
    properties: "packageName=pool_client",
    needs: ["python3"],
    compile: [
      {
        argv: [
          "python3",
          "-m",
          "pip",
          "install",
          "-q",
          "-t",
          "site",
          "-r",
          "client/requirements.txt",
        ],
      },
      { argv: ["python3", "-m", "compileall", "-q", "client/pool_client"] },
      { argv: ["python3", "-c", "from pool_client import *"], env: SITE },
    ],
    call: [{ argv: ["python3", "call.py"], env: SITE }],
    notes: { stream: "raw" },
  }),
  openapiGenerator({
    name: "java",
    properties:
      "library=native,invokerPackage=pool.client,apiPackage=pool.client.api," +
      "modelPackage=pool.client.model,hideGenerationTimestamp=true",
    compile: [
      {
        argv: [
          ...(["mvn", "-q", "-B", "-f", "client/pom.xml", "-DskipTests", "compile"] as const),
          "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
          "-DoutputDirectory=target/lib",
        ],
      },
    ],
    call: [{ argv: ["java", "-cp", "client/target/classes:client/target/lib/*", "Call.java"] }],
    notes: FILE,
  }),
  openapiGenerator({
    name: "go",
    // Go has no scope for the values of an enum, so each carries the name of its enum.
    properties:
      "packageName=client,withGoMod=false,enumClassPrefix=true,useOneOfDiscriminatorLookup=true",
    needs: ["go"],
    clean: { argv: ["rm", "-rf", "client/test"] },
    compile: [{ argv: ["go", "mod", "tidy"] }, { argv: ["go", "build", "./client"] }],
    call: [{ argv: ["go", "run", "."] }],
    notes: FILE,
  }),
  openapiGenerator({
    name: "rust",
    properties: "library=reqwest,packageName=pool_client",
    needs: ["cargo"],
    compile: [{ argv: ["cargo", "build", "-q", "-p", "pool_client"] }],
    call: [{ argv: ["cargo", "run", "-q"] }],
    notes: { stream: RUST_EVENTS },
  }),
  openapiGenerator({
    name: "typescript-fetch",
    document: "openapi.sdk.json",
    compile: [typeChecked("client/index.ts")],
    call: [typeChecked(), ...bundled()],
    notes: { stream: "raw" },
  }),
];
