/** The quotas of a token: how much its holder may have on a member at a time. */
import { z } from "zod";

export const MAX_QUOTA = 1_000_000;
const number = z.int().min(1).max(MAX_QUOTA).optional();

/** The quotas of a token. Without one, the default of the member or of the pool holds. */
export const QuotasSchema = z.strictObject({
  /** Children and held slots at a time, in all pools of a member. */
  maxChildren: number,
  /** Children and held slots at a time, in each pool of a member. */
  maxSlots: number,
  /** Requests a second. */
  maxRate: number,
  /** Open streams at a time. */
  maxStreams: number,
});

export type Quotas = Readonly<Partial<z.output<typeof QuotasSchema>>>;
export type QuotaName = keyof Quotas;

export const QUOTA_NAMES = Object.keys(QuotasSchema.shape) as QuotaName[];

/**
 * The quotas in the words of a token's line, by name.
 *
 * @throws an error that says what was expected.
 */
export function quotasOf(words: ReadonlyMap<string, string>): Quotas {
  const given = QUOTA_NAMES.filter((name) => words.has(name)).map((name) => {
    const text = words.get(name) ?? "";
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!QuotasSchema.safeParse({ [name]: value }).success)
      throw new Error(
        `expected ${name}= and a whole number from 1 to ${MAX_QUOTA}; got ${JSON.stringify(text)}`,
      );
    return [name, value];
  });
  return Object.fromEntries(given);
}
