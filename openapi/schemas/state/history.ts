/** The counts of late: children, waits and runs, by steps of time. */
import { z } from "@hono/zod-openapi";
import { MemberNameSchema } from "../names.ts";

/** 10 seconds for a step, and 30 minutes of steps. */
export const STEP_MS = 10_000;
export const MAX_STEPS = 180;

/**
 * The upper bounds of the histograms in milliseconds, two for each power of ten. Counts have one
 * entry more than there are bounds: the durations beyond the last.
 */
export const BOUNDS_MS = [
  1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000,
] as const;

const counts = (what: string) =>
  z.array(z.int().describe("The number in this step.")).describe(`${what}, by step.`);

const histograms = (what: string) =>
  z
    .array(
      z
        .array(z.int().describe("Durations up to this bound, and above the one before."))
        .describe("The counts by bound. Empty when there are none."),
    )
    .describe(`${what}, by step, as a histogram over \`boundsMs\`.`);

export const PoolHistorySchema = z
  .object({
    placed: counts("The children that got a slot"),
    ended: counts("The children that ended, failed or not"),
    failed: z
      .record(z.string(), counts("The failures with this code"))
      .describe("The children that failed, by the code of the problem."),
    refused: counts("The requests that got no slot here"),
    queued: counts("The most callers that waited at a time"),
    waits: histograms("The waits for a slot of the children that got one"),
    runs: histograms("The time from the slot to the end of the children that ended"),
  })
  .openapi("PoolHistory", {
    description: "What happened in one pool. All lists have one entry a step, the oldest first.",
    example: {
      placed: [3],
      ended: [2],
      failed: { cancelled: [1] },
      refused: [0],
      queued: [1],
      waits: [[3]],
      runs: [[0, 0, 1, 1]],
    },
  });

export const HistorySchema = z
  .object({
    stepMs: z.int().describe("The milliseconds of a step."),
    firstAt: z.iso.datetime().describe("The time when the first step begins."),
    boundsMs: z
      .array(z.number().describe("Milliseconds."))
      .describe("The upper bounds of the histograms."),
    pools: z.record(z.string(), PoolHistorySchema).describe("The history, by pool."),
    unreachable: z
      .array(MemberNameSchema)
      .describe("Members that did not answer in time. Their counts are missing."),
  })
  .openapi("History", {
    description: "What happened in the pools in the last 30 minutes.",
    example: {
      stepMs: STEP_MS,
      firstAt: "2026-01-31T12:00:00.000Z",
      boundsMs: [...BOUNDS_MS],
      pools: {},
      unreachable: [],
    },
  });

export type History = z.infer<typeof HistorySchema>;
export type PoolHistory = z.infer<typeof PoolHistorySchema>;
