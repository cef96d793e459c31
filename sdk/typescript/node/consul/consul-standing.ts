/** The state of a member, read from the checks of its service in Consul. Pure. */
import type { MemberStanding } from "../../placement/members.ts";

/** A check of an entry of Consul's health list. */
export interface Check {
  readonly Status: string;
  readonly CheckID?: string;
  readonly Name?: string;
  readonly Notes?: string;
  readonly Output?: string;
}

const DRAINS = "the member drains";
/** A member of an earlier version tells no time. */
const DRAINING = new RegExp(`^${DRAINS}(?: until (\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z))?$`);
/** Consul's maintenance of a service, or of its whole node, is a check with such an id. */
const MAINTENANCE = /^_(?:service|node)_maintenance/;
/** 200 characters of what a check says. */
const MAX_DETAIL = 200;

/** The reason for Consul's maintenance of a member that drains. @param endsAt in ISO 8601. */
export const drainingReason = (endsAt: string) => `${DRAINS} until ${endsAt}`;

/**
 * The state of a member. A check that fails says that it is lost, also while it drains. Maintenance
 * says that it drains or is sick; an operator's own maintenance counts as sick.
 */
export function standingOf(checks: readonly Check[]): MemberStanding {
  const failing = checks.filter(({ Status }) => Status !== "passing");
  const isMaintenance = ({ CheckID = "" }: Check) => MAINTENANCE.test(CheckID);
  const lost = failing.find((check) => !isMaintenance(check));
  if (lost) {
    const said = [lost.Name, lost.Output].filter((text) => text).join(": ");
    return { state: "lost", detail: `Consul: ${said || lost.Status}`.slice(0, MAX_DETAIL) };
  }
  const [maintenance] = failing;
  if (!maintenance) return { state: "up" };
  const detail = maintenance.Notes ?? "";
  const draining = DRAINING.exec(detail);
  return draining ? { state: "draining", drainEndsAt: draining[1] } : { state: "sick", detail };
}
