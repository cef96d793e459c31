/** Reads OpenTelemetry's own variables. A value that makes no sense is told, and ignored. */

export type Variables = Readonly<Record<string, string | undefined>>;
type Log = (message: string) => void;

/** Whether the variables ask for traces. OpenTelemetry takes an empty variable for an unset one. */
export function askedFor(env: Variables, log: Log): boolean {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === "true") return false;
  const endpoint = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || env.OTEL_EXPORTER_OTLP_ENDPOINT;
  const exporter = env.OTEL_TRACES_EXPORTER || (endpoint ? "otlp" : "none");
  if (exporter === "none") return false;
  if (exporter !== "otlp") {
    log(`expected OTEL_TRACES_EXPORTER to be otlp or none; got ${exporter}: no traces are sent`);
    return false;
  }
  if (endpoint && !(/^https?:\/\//.test(endpoint) && URL.canParse(endpoint))) {
    log(`expected the URL of OTLP's endpoint with http: or https:; got ${endpoint}: no traces`);
    return false;
  }
  const protocol =
    env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || env.OTEL_EXPORTER_OTLP_PROTOCOL || "http/json";
  if (!protocol.startsWith("http/"))
    log(`expected an OTLP protocol of http; got ${protocol}: traces go as http/json`);
  return true;
}

/** A sampler: the decision for a root, and whether the caller's decision comes before it. */
export interface SamplerChoice {
  readonly root: "always_on" | "always_off" | "traceidratio" | "per_second";
  readonly isParentBased: boolean;
  /** The part of the traces that `traceidratio` keeps, from 0 to 1. */
  readonly ratio: number;
}

const SAMPLER = /^(parentbased_)?(always_on|always_off|traceidratio)$/;

/** The sampler that the variables name. Default: the caller decides, else 100 traces a second. */
export function samplerOf(env: Variables, log: Log): SamplerChoice {
  const name = env.OTEL_TRACES_SAMPLER || undefined;
  const match = SAMPLER.exec(name ?? "");
  if (name !== undefined && !match)
    log(`expected OTEL_TRACES_SAMPLER to be one of OpenTelemetry's samplers; got ${name}`);
  const [, parentBased = match ? "" : "yes", root = "per_second"] = match ?? [];
  const given = env.OTEL_TRACES_SAMPLER_ARG;
  const ratio = given ? Number(given) : 1;
  const isRatio = ratio >= 0 && ratio <= 1;
  if (!isRatio) log(`expected OTEL_TRACES_SAMPLER_ARG to be a number from 0 to 1; got ${given}`);
  return {
    root: root as SamplerChoice["root"],
    isParentBased: parentBased !== "",
    ratio: isRatio ? ratio : 1,
  };
}

/** A whole number from 1 on in a variable; undefined where there is none. */
export function countIn(env: Variables, name: string, log: Log): number | undefined {
  const given = env[name];
  if (!given) return undefined;
  if (/^[1-9]\d{0,8}$/.test(given)) return Number(given);
  log(`expected ${name} to be a whole number from 1 on; got ${given}`);
  return undefined;
}
