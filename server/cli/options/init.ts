/** The options of `dpool init`: the file to write, and what it says. */
import * as z from "zod/mini";
import { type CliOption, SWITCH } from "./spec.ts";

export const INIT_OPTIONS = {
  out: {
    value: "FILE",
    doc: "The configuration file to write.",
    otherwise: "dpool.yaml",
    commands: ["init"],
  },
  tokens: {
    value: "FILE",
    doc: "Also write a token file with one token, of scope admin, which is shown this once.",
    otherwise: "no token file: only callers on this machine",
    commands: ["init"],
  },
  consul: {
    value: "ADDRESS",
    doc: "The Consul agent that the member registers with.",
    otherwise: "http://127.0.0.1:8500",
    schema: z.string(),
    commands: ["init"],
  },
  force: {
    doc: "Replace files that are there.",
    schema: SWITCH,
    commands: ["init"],
  },
} as const satisfies Readonly<Record<string, CliOption>>;
