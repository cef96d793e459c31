/** Divides the descriptors of the process between its children and its connections. */
import { PoolError } from "../../openapi/errors.ts";
import { connectionBudget, descriptorLimit } from "../http/connections/descriptors.ts";
import { proxyDescriptors } from "../sandbox/egress/bounds.ts";
import type { Settings } from "./check-options.ts";

/**
 * The most connections at a time. Warns where the limit of descriptors is too low for all of them.
 *
 * @throws {PoolError} `invalid_request` where it leaves no room beside the children.
 */
export function maxConnectionsOf({ pools, maxConnections, log }: Settings): number {
  const limit = descriptorLimit();
  let children = 0;
  let withProxy = 0;
  for (const { maxChildren, warm, reuse, network } of pools.values()) {
    const waiting = Object.values(warm).reduce((sum, count) => sum + count, 0);
    const most = maxChildren * (reuse ? 2 : 1) + waiting;
    children += most;
    if (typeof network === "object") withProxy += most;
  }
  const { max, needed, isTooLow } = connectionBudget(
    limit,
    { children, proxies: proxyDescriptors(withProxy) },
    maxConnections,
  );
  if (needed <= limit) return max;
  const message =
    `${children} children, waiting processes included, and ${max} connections need ${needed} ` +
    `open files; the limit is ${limit}: raise it (ulimit -n, LimitNOFILE=)`;
  if (isTooLow) throw PoolError.of("invalid_request", message);
  log("warn", message);
  return max;
}
