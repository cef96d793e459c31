/** The benchmarks, in the order of their runs. */
import type { Benchmark } from "./benchmark.ts";

/** A program of `more/`: only by name, because it takes long or prints many lines. */
const script = (name: string, about: string): Benchmark => ({
  name,
  about,
  byDefault: false,
  inQuick: false,
  run: async (context) => (await import("./paths/script.ts")).runScript(name, context),
});

export const CATALOGUE: readonly Benchmark[] = [
  {
    name: "calls",
    about: "reused functions beside the limit L: directly and through a gateway",
    byDefault: true,
    inQuick: true,
    run: async (context) => (await import("./paths/calls.ts")).run(context),
  },
  {
    name: "starts",
    about: "one-use, cold and command calls beside bare starts",
    byDefault: true,
    inQuick: true,
    run: async (context) => (await import("./paths/starts.ts")).run(context),
  },
  {
    name: "refill",
    about: "how fast one-use processes are replaced, beside bare sandboxed starts",
    byDefault: true,
    inQuick: false,
    run: async (context) => (await import("./paths/refill.ts")).run(context),
  },
  {
    name: "refused",
    about: "calls refused while a slot is free, at load 0.9",
    byDefault: true,
    inQuick: false,
    run: async (context) => (await import("./paths/refused.ts")).run(context),
  },
  {
    name: "many",
    about: "2,000 callers at once: who is served, how long the member is silent",
    byDefault: true,
    inQuick: false,
    run: async (context) => (await import("./paths/many.ts")).run(context),
  },
  {
    name: "memory",
    about: "a member at rest, and each warm process, stream and queued call",
    byDefault: true,
    inQuick: false,
    run: async (context) => (await import("./paths/memory.ts")).run(context),
  },
  {
    name: "cli",
    about: "processor time of the command line to its first request",
    byDefault: true,
    inQuick: true,
    run: async (context) => (await import("./paths/cli.ts")).run(context),
  },
  {
    name: "placement",
    about: "placing a call among 1 to 1,000 members: time, and requests for each call",
    byDefault: true,
    inQuick: false,
    run: async (context) => (await import("./paths/placement.ts")).run(context),
  },
  {
    name: "peers",
    about: "BullMQ, tinypool, piscina, gearmand and the Elixir original on the same work",
    byDefault: true,
    inQuick: false,
    run: async (context) => (await import("./paths/peers.ts")).run(context),
  },
  {
    name: "simulation",
    about: "the real placement code over 10 to 10,000 simulated members",
    byDefault: true,
    inQuick: true,
    run: async (context) => (await import("./paths/simulation.ts")).run(context),
  },
  script("layers", "what each layer of the sandbox costs"),
  script("waiting", "200 callers on 15 slots: idle slots, and the order of the calls"),
  script("overload", "results per second with more callers than slots; takes 5 minutes"),
  script("streams", "the throughput of output, beside a bare HTTP server"),
  script("readers", "2,000 readers on one child, and 500 children with a reader each"),
  script("stalled", "callers that never read: the memory that they cost the member"),
  script("imports", "the time to import each entry of the SDK"),
];
