/** The JSON Schema of the configuration file, as the generators read it. */
import { configSchema } from "../server/cli/commands/config-schema.ts";

/** The parts of a JSON Schema that the configuration file's has. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | false;
}

export const CONFIG_SCHEMA = configSchema() as JsonSchema;

/** The schema of a pool that is written with all its options. */
export function poolSchema(): JsonSchema {
  const { anyOf = [] }: JsonSchema = CONFIG_SCHEMA.properties?.pools?.additionalProperties || {};
  return anyOf.at(-1) ?? {};
}
