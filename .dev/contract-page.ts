/** The tables of codes and events on the page of the contract. */
import { ERROR_CODES, ERRORS } from "../openapi/codes.ts";
import { buildDocument } from "../openapi/document.ts";

/** Every code, as a Markdown table. */
export function codesTable(): string {
  return table(
    ["code", "status", "meaning", "retryable"],
    ERROR_CODES.map((code) => {
      const { status, meaning, retryable } = ERRORS[code];
      return [`\`${code}\``, String(status), meaning, retryable ? "yes" : "no"];
    }),
  );
}

interface EventDocs {
  readonly description: string;
  readonly properties: Readonly<Record<string, { readonly enum?: readonly string[] }>>;
  readonly required: readonly string[];
}

/** Every event of a child's stream and of a wait for a slot, as a Markdown table. */
export function eventsTable(): string {
  const schemas = buildDocument().components?.schemas as Readonly<Record<string, EventDocs>>;
  const events = Object.entries(schemas).filter(([, { properties }]) => properties?.type?.enum);
  return table(
    ["event", "data", "meaning"],
    events.map(([, { description, properties, required }]) => {
      const fields = Object.keys(properties).filter((name) => name !== "type");
      const data = fields.map((name) => `\`${name}${required.includes(name) ? "" : "?"}\``);
      return [`\`${properties.type?.enum?.[0]}\``, data.join(" "), description];
    }),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |\n`).join("");
}
