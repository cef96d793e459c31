/** A call, or the output of a child, as a line of curl or dpool, or a program. */

const SECRET = "DPOOL_TOKEN";

const quoted = (text) =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

/** JSON is a literal of Python too, but for these three words outside of strings. */
function python(value) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, of]) => `${JSON.stringify(key)}: ${python(of)}`);
  return `{${entries.join(", ")}}`;
}

const curlToken = (hasToken) => (hasToken ? ` \\\n  -H "authorization: Bearer $${SECRET}"` : "");

/** A call of this spec. @param at `{ url, pool, hasToken }` */
export function callSnippets(spec, { url, pool, hasToken }) {
  const client = hasToken ? `{ url: "${url}", token: process.env.${SECRET} }` : `{ url: "${url}" }`;
  const token = hasToken ? `, token=os.environ["${SECRET}"]` : "";
  const words = spec.command?.map(quoted).join(" ");
  const json = JSON.stringify(spec);
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
const result = await pools.call("${pool}", ${JSON.stringify(spec, null, 2)});
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
