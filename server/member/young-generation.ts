/**
 * The young generation of V8's heap. While a process loads its modules, most values survive, and
 * the generation grows to 16 MiB, which it keeps. Calls leave little behind, so they need no more
 * than they ask for.
 */
import { setFlagsFromString } from "node:v8";

const FLAG = "--semi-space-growth-factor";

/** Keeps the young generation at its first size, about 1 MiB. */
export const keepYoungGeneration = () => setFlagsFromString(`${FLAG}=1`);

/** Lets the young generation grow where much survives, as V8 does by default. */
export const growYoungGeneration = () => setFlagsFromString(`${FLAG}=2`);
