/** How members stand in Consul: as they register, as the list is read, as the agent is found. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { consulClient, consulOptionsFrom } from "../../sdk/typescript/node/consul/consul-client.ts";
import { type HealthEntry, memberOf } from "../../sdk/typescript/node/consul/consul-service.ts";
import { type Check, drainingReason } from "../../sdk/typescript/node/consul/consul-standing.ts";
import type { Member, MemberStanding } from "../../sdk/typescript/placement/members.ts";
import { registrationOf } from "../../server/membership/consul-registration.ts";

const MEMBER: Member = {
  name: "web1",
  url: "http://10.0.0.5:7401",
  pools: { pipeline: 5, crawler: 1 },
  sandbox: "full",
  version: "0.1.0",
};

const HEARTBEAT = { CheckID: "web1-ttl", Name: "heartbeat of the member", Status: "passing" };
const ENDS_AT = "2026-01-31T12:00:00.000Z";
const maintenance = (Notes: string): Check => ({
  CheckID: "_service_maintenance:distributed-pool-web1",
  Status: "critical",
  Notes,
});

/** The entry of Consul's health list after a registration. */
function entryOf(member: Member): HealthEntry {
  const { address, port, meta } = registrationOf(member);
  return {
    Node: { Address: "10.0.0.9" },
    Service: { Address: address, Port: port, Meta: meta },
    Checks: [{ Status: "passing" }],
  };
}

describe("a registration", () => {
  test.each([
    ["http", "http://10.0.0.5:7401"],
    ["https", "https://member.example.com:7401"],
    ["IPv6", "http://[2001:db8::1]:7401"],
  ])("is read as the member that made it, over %s", (_, url) => {
    expect(memberOf(entryOf({ ...MEMBER, url }))).toEqual({ ...MEMBER, url, state: "up" });
  });

  test("has the pools alone as tags, and a check", () => {
    expect(registrationOf(MEMBER)).toMatchObject({
      id: "distributed-pool-web1",
      tags: ["pipeline", "crawler"],
      check: { checkid: "distributed-pool-web1-ttl", ttl: "15s", status: "passing" },
    });
  });

  test("links to the dashboard: the member's own, or the one behind the proxy", () => {
    expect(registrationOf(MEMBER).check.notes).toBe("dashboard: http://10.0.0.5:7401/");
    const { check } = registrationOf(MEMBER, "https://pool.example.org");
    expect(check.notes).toBe("dashboard: https://pool.example.org/");
  });

  test("has the port of the scheme when the URL names none", () => {
    expect(registrationOf({ ...MEMBER, url: "http://web1" }).port).toBe(80);
    expect(registrationOf({ ...MEMBER, url: "https://web1" }).port).toBe(443);
  });
});

describe("an entry of the health list", () => {
  test.each<[string, readonly Check[], MemberStanding]>([
    ["up where all checks pass", [HEARTBEAT], { state: "up" }],
    [
      "lost where a check fails",
      [{ ...HEARTBEAT, Status: "critical", Output: "TTL expired" }],
      { state: "lost", detail: "Consul: heartbeat of the member: TTL expired" },
    ],
    [
      "draining, with the time of its end",
      [HEARTBEAT, maintenance(drainingReason(ENDS_AT))],
      { state: "draining", drainEndsAt: ENDS_AT },
    ],
    [
      "draining, without a time at an earlier version",
      [HEARTBEAT, maintenance("the member drains")],
      { state: "draining", drainEndsAt: undefined },
    ],
    [
      "sick in any other maintenance",
      [HEARTBEAT, maintenance("the member drains the lake")],
      { state: "sick", detail: "the member drains the lake" },
    ],
    [
      "lost where it is lost while it drains",
      [maintenance(drainingReason(ENDS_AT)), { ...HEARTBEAT, Status: "critical" }],
      { state: "lost", detail: "Consul: heartbeat of the member" },
    ],
  ])("of a member is read as %s", (_, Checks, standing) => {
    expect(memberOf({ ...entryOf(MEMBER), Checks })).toEqual({ ...MEMBER, ...standing });
  });

  test("of another program is no member", () => {
    const { Node, Service, Checks } = entryOf(MEMBER);
    expect(memberOf({ Node, Service: { ...Service, Meta: null }, Checks })).toBeUndefined();
    expect(memberOf({ Node, Service: { ...Service, Port: 0 }, Checks })).toBeUndefined();
  });

  test("without an address of its own has that of its node", () => {
    const { Node, Service, Checks } = entryOf(MEMBER);
    const member = memberOf({ Node, Service: { ...Service, Address: "" }, Checks });
    expect(member?.url).toBe("http://10.0.0.9:7401");
  });

  test("leaves out pools without a valid name, and takes an unknown level for none", () => {
    const { Node, Service, Checks } = entryOf(MEMBER);
    const Meta = { ...Service.Meta, "maxChildren-": "1", "maxChildren-a b": "1", sandbox: "thick" };
    const member = memberOf({ Node, Service: { ...Service, Meta }, Checks });
    expect(member).toMatchObject({ pools: MEMBER.pools, sandbox: "none" });
  });
});

describe("the options of Consul's variables", () => {
  test("name the local agent by default", () => {
    expect(consulOptionsFrom({})).toMatchObject({ address: "127.0.0.1:8500", token: undefined });
  });

  test("are those of the consul command; an address given beside them takes precedence", () => {
    const env = {
      CONSUL_HTTP_ADDR: "consul:8501",
      CONSUL_HTTP_SSL: "true",
      CONSUL_HTTP_SSL_VERIFY: "0",
      CONSUL_HTTP_TOKEN: "secret",
      CONSUL_HTTP_AUTH: "user:password",
      CONSUL_CACERT: "/ca.pem",
      CONSUL_NAMESPACE: "team",
    };
    expect(consulOptionsFrom(env)).toMatchObject({
      address: "https://consul:8501",
      token: "secret",
      auth: "user:password",
      caFile: "/ca.pem",
      verify: false,
      namespace: "team",
    });
    expect(consulOptionsFrom(env, "http://other:8500").address).toBe("http://other:8500");
  });

  test("may name a file with the token", () => {
    const folder = mkdtempSync(join(tmpdir(), "dpool-consul-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "token");
    writeFileSync(file, "secret\n");
    expect(consulOptionsFrom({ CONSUL_HTTP_TOKEN_FILE: file }).token).toBe("secret");
    const both = { CONSUL_HTTP_TOKEN_FILE: file, CONSUL_HTTP_TOKEN: "other" };
    expect(consulOptionsFrom(both).token).toBe("secret");
  });

  test("count as none when they are empty", () => {
    const names = ["HTTP_ADDR", "HTTP_TOKEN", "HTTP_TOKEN_FILE", "HTTP_SSL_VERIFY", "CACERT"];
    const env = Object.fromEntries(names.map((name) => [`CONSUL_${name}`, ""]));
    expect(consulOptionsFrom(env)).toEqual(consulOptionsFrom({}));
  });

  test.each(["1", "t", "TRUE", "True"])("have true as %s", (value) => {
    const options = consulOptionsFrom({ CONSUL_HTTP_SSL: value, CONSUL_HTTP_SSL_VERIFY: value });
    expect(options).toMatchObject({ address: "https://127.0.0.1:8500", verify: true });
  });

  test.each([
    ["ftp://127.0.0.1", /expected an http or https address of Consul; got ftp:/],
    ["http://", /expected Consul's address as http:\/\/HOST:PORT or HOST:PORT; got "http:\/\/"/],
  ])("refuses the address %s", (address, message) => {
    expect(() => consulClient({ address })).toThrow(
      expect.objectContaining({ code: "invalid_request", message: expect.stringMatching(message) }),
    );
  });
});
