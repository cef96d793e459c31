/** Runs a program as it is. */
import { contextEnvironment, NOT_STARTED, type Runtime } from "./runtime.ts";

export const commandRuntime: Runtime = {
  program: (spec, context) => ({
    argv: spec.command ?? [],
    env: { ...spec.env, ...contextEnvironment(context) },
    readOnly: [],
    channel: false,
    stdin: spec.stdin !== undefined,
  }),

  follow: (process) => ({
    outcome: process.exited.then((exit) => {
      if (!exit.started) return NOT_STARTED;
      if (exit.signal === null) return { kind: "exited", exit };
      return { kind: "crashed", detail: `the command was ended by ${exit.signal} (exit code ${exit.exitCode})`, exitCode: exit.exitCode };
    }),
  }),
};
