/** `dpool init`: a first configuration file for `serve`, and a token file where asked for. */
import { constants, existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { stringify } from "yaml";
import { messageOf } from "../../../openapi/errors.ts";
import { addressOf } from "../../../sdk/typescript/node/consul/consul-options.ts";
import { tokenFor } from "../../access/tokens.ts";
import { poolFaults } from "../../member/check-options.ts";
import { DEFAULTS } from "../../member/options.ts";
import { write, writeJson } from "../output/write.ts";
import { argumentsOf, isJson, type Parsed } from "../parse.ts";
import { blamingUsage, UsageError } from "../usage-error.ts";

const FILE = "dpool.yaml";
const CONSUL = "http://127.0.0.1:8500";
/** A configuration holds no secret. A token file holds hashes, which are for its owner alone. */
const MODE = 0o644;
const SECRET_MODE = 0o600;
/** The holder of the first token. */
const HOLDER = "operator";

export async function init(line: Parsed): Promise<number> {
  argumentsOf(line);
  const { out = FILE, tokens, force = false, consul = CONSUL } = line.values;
  const named = line.values.pool ?? [["pipeline", DEFAULTS.maxChildren]];
  const pools = Object.fromEntries(named);
  const faults = Object.entries(pools).flatMap((pool) => poolFaults(...pool));
  if (faults.length > 0) throw new UsageError(faults.map(({ message }) => message).join("; "));
  const again = named.find(([name], index) => named.findIndex(([first]) => first === name) < index);
  if (again) throw new UsageError(`--pool: expected each pool once; got ${again[0]} again`);
  await blamingUsage(() => addressOf({ address: consul }));
  const config = configurationText({ pools, consul, tokens: tokens && resolve(tokens) });
  const made =
    tokens === undefined
      ? undefined
      : tokenFor(HOLDER, { scopes: ["admin"], pools: ["*"], quotas: {} });
  const files = [
    { file: out, text: config, mode: MODE },
    ...(tokens && made ? [{ file: tokens, text: `${made.line}\n`, mode: SECRET_MODE }] : []),
  ];
  await writeAll(files, force);
  const next = [`dpool doctor --config ${out}`, `dpool serve --config ${out}`];
  if (isJson(line)) {
    await writeJson({ config: out, tokens: tokens ?? null, token: made?.token ?? null, next });
    return 0;
  }
  const [first, second] = next;
  await write(
    process.stdout,
    [
      `wrote ${files.map(({ file }) => file).join(" and ")}`,
      ...(made ? [`the token of ${HOLDER}, shown this once: ${made.token}`] : []),
      `next: ${first}, then ${second}`,
      "",
    ].join("\n"),
  );
  return 0;
}

interface NewFile {
  readonly file: string;
  readonly text: string;
  readonly mode: number;
}

/** Writes all files. Without `force` it first looks whether one is there, and then writes none. */
async function writeAll(files: readonly NewFile[], force: boolean): Promise<void> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_TRUNC } = constants;
  const there = files.find(({ file }) => !force && existsSync(file));
  if (there) throw new UsageError(`${there.file} is there already; --force replaces it`);
  for (const { file, text, mode } of files) {
    try {
      const handle = await open(file, O_WRONLY | O_CREAT | (force ? O_TRUNC : O_EXCL), mode);
      try {
        // A file that was there keeps its mode otherwise.
        await handle.chmod(mode);
        await handle.writeFile(text);
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw new UsageError(`${file}: ${messageOf(error)}`);
    }
  }
}

interface Answers {
  readonly pools: Readonly<Record<string, number>>;
  readonly consul: string;
  readonly tokens: string | undefined;
}

/** The text of the file. What is commented out is a start for the operator. */
function configurationText({ pools, consul, tokens }: Answers): string {
  const named = Object.fromEntries(
    Object.entries(pools).map(([pool, maxChildren]) => [pool, { maxChildren }]),
  );
  const callers = tokens
    ? stringify({ tokenFile: tokens })
    : "# Beyond loopback a member has to know them: dpool token NAME >> /etc/dpool.tokens\n" +
      "# tokenFile: /etc/dpool.tokens\n";
  return `# The configuration of a member: dpool serve --config FILE
# Every key: dpool serve --help; every mistake: dpool check-config FILE

# Where the member listens. Other machines reach it at the advertised address.
port: ${DEFAULTS.port}
host: 127.0.0.1
# host: 0.0.0.0
# advertise: web1.example.org:${DEFAULTS.port}

# The Consul agent of this machine.
${stringify({ consul })}
# The callers.
${callers}
# Certificates, for https. Other members expect the name MEMBER.distributed-pool in it.
# tlsCert: /etc/dpool/member.pem
# tlsKey: /etc/dpool/member.key
# tlsCa: /etc/dpool/authority.pem

# The pools, with the most children at a time. The limits are for each child.
${stringify({ pools: named })}#    limits: {memoryBytes: 1073741824, deadlineMs: 600000}
`;
}
