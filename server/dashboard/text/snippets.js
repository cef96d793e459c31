/** A call, or the output of a child, as a line of curl or dpool, or a program. */

const SECRET = "DPOOL_TOKEN";

// Terminals act on control characters that are pasted, and marks of direction deceive readers: a
// snippet has none of them.
const CONTROLS = "\\u0000-\\u0009\\u000b-\\u001f\\u007f-\\u009f";
const UNPRINTED = new RegExp(
  `[${CONTROLS}\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]`,
  "g",
);
const codeOf = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** JSON in which such characters are escapes. */
const jsonOf = (value, space) => JSON.stringify(value, null, space).replace(UNPRINTED, codeOf);

/** The bytes of a character, as bash and zsh write them in any locale. */
const bytesOf = (character) =>
  Array.from(
    new TextEncoder().encode(character),
    (byte) => `\\x${byte.toString(16).padStart(2, "0")}`,
  ).join("");

/** A word of bash, zsh or any other shell; with control characters, of bash and zsh. */
function quoted(text) {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  if (text.search(UNPRINTED) < 0) return `'${text.replaceAll("'", `'\\''`)}'`;
  return `$'${text.replace(/[\\']/g, "\\$&").replace(UNPRINTED, bytesOf)}'`;
}

/** JSON is a literal of Python too, but for these three words outside of strings. */
function python(value) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value !== "object") return jsonOf(value);
  const entries = Object.entries(value).map(([key, of]) => `${jsonOf(key)}: ${python(of)}`);
  return `{${entries.join(", ")}}`;
}

const curlToken = (hasToken) => (hasToken ? ` \\\n  -H "authorization: Bearer $${SECRET}"` : "");

/** A call of this spec. @param at `{ url, pool, hasToken }` */
export function callSnippets(spec, { url, pool, hasToken }) {
  const client = hasToken ? `{ url: "${url}", token: process.env.${SECRET} }` : `{ url: "${url}" }`;
  const token = hasToken ? `, token=os.environ["${SECRET}"]` : "";
  const words = spec.command?.map(quoted).join(" ");
  const json = jsonOf(spec);
  return {
    curl: `curl -N ${url}/pools/${pool}/call \\
  -H 'content-type: application/json'${curlToken(hasToken)} \\
  -d ${quoted(json)}`,
    dpool:
      spec.command && Object.keys(spec).length === 1
        ? `dpool call ${pool} --url ${url} -- ${words}`
        : `dpool call ${pool} --url ${url} --spec ${quoted(json)}`,
    TypeScript: `import { DistributedPool } from "@distributed-pool/sdk/node";

const pools = new DistributedPool(${client});
const result = await pools.call("${pool}", ${jsonOf(spec, 2)});
console.log(result);
await pools.close();`,
    Python: `${hasToken ? "import os\n\n" : ""}from distributed_pool import DistributedPool

with DistributedPool("${url}"${token}) as pool:
    print(pool.call("${pool}", ${python(spec)}))`,
  };
}

/** The output of a child that runs, or is remembered. */
export function childSnippets(id, { url, hasToken }) {
  const client = hasToken ? `{ url: "${url}", token: process.env.${SECRET} }` : `{ url: "${url}" }`;
  const token = hasToken ? `, token=os.environ["${SECRET}"]` : "";
  return {
    curl: `curl -N ${url}/children/${id}/events${curlToken(hasToken)}`,
    dpool: `dpool logs -f ${id} --url ${url}`,
    TypeScript: `import { DistributedPool, outputBytes } from "@distributed-pool/sdk/node";

const pools = new DistributedPool(${client});
for await (const event of pools.child("${id}").events())
  if (event.type === "stdout") process.stdout.write(outputBytes(event));
await pools.close();`,
    Python: `${hasToken ? "import os\n\n" : ""}from distributed_pool import DistributedPool

with DistributedPool("${url}"${token}) as pool:
    for event in pool.child("${id}").events():
        print(event)`,
  };
}
