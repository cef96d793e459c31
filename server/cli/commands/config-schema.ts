/** `dpool config-schema`: the JSON Schema of the configuration file. */
import { z } from "zod";
import { LimitsSchema } from "../../../openapi/schemas/limits.ts";
import { PoolNameSchema } from "../../../openapi/schemas/names.ts";
import { PoolOptionsSchema } from "../../member/pool-options.ts";
import { RuntimesSchema } from "../../runtimes/configured.ts";
import { DEFAULT_LIMITS } from "../../sandbox/confinement.ts";
import { configurationOf } from "../command-options.ts";
import { write } from "../output/write.ts";
import { argumentsOf, type Parsed } from "../parse.ts";

export async function printConfigSchema(parsed: Parsed): Promise<number> {
  argumentsOf(parsed);
  await write(process.stdout, `${JSON.stringify(configSchema(), null, 2)}\n`);
  return 0;
}

/** Builds the JSON Schema, draft 2020-12, of the files that `serve` and `dev` take. */
export function configSchema() {
  const options = new Map([...configurationOf("dev"), ...configurationOf("serve")]);
  const file = z.strictObject({
    ...Object.fromEntries(
      [...options].map(([key, option]) => [
        key,
        // The options of the configuration file have schemas of the whole zod.
        ((option.schema as z.ZodType | undefined) ?? z.string())
          .meta({ description: option.doc, default: option.default })
          .optional(),
      ]),
    ),
    pools: z
      .record(PoolNameSchema, z.union([PoolOptionsSchema.shape.maxChildren, PoolOptionsSchema]))
      .optional()
      .describe("Pools to serve, by name: the number of their children, or all their options."),
    runtimes: RuntimesSchema.optional().describe(
      "Programs that run functions, by the name of the runtime; `{source}` is the function's file.",
    ),
  });
  const limits = defaultLimits();
  return z.toJSONSchema(file.meta({ title: "Configuration of distributed-pool" }), {
    io: "input",
    override: ({ zodSchema, jsonSchema }) => {
      // A flag may give the number of children that the file leaves out.
      if (zodSchema === PoolOptionsSchema) delete jsonSchema.required;
      // Each whole number of zod is a safe integer, which says nothing here.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      Object.assign(jsonSchema, limits.get(zodSchema));
    },
  });
}

/** The limits of a pool that sets none. */
function defaultLimits(): ReadonlyMap<unknown, object> {
  return new Map(
    Object.entries(LimitsSchema.shape).map(([name, schema]) => {
      const limit = DEFAULT_LIMITS[name as keyof typeof DEFAULT_LIMITS];
      // The default of shared memory depends on another limit.
      const isConstant = name !== "shmBytes" && Number.isFinite(limit);
      return [schema, isConstant ? { default: limit } : {}];
    }),
  );
}
