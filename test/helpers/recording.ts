/** A proxy in front of a member that keeps what is sent to it. */
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import type { EmbeddedRegistry, RunningMember } from "../../server/main.ts";

export interface Recorded {
  readonly method: string;
  readonly path: string;
  /** The request's body; empty for none. */
  readonly body: string;
  /** The status of the answer. */
  readonly status: number;
}

/**
 * Puts a proxy before a member, for all who find it through the registry. Each answered request is
 * added to the list.
 */
export async function record(
  member: RunningMember,
  registry: EmbeddedRegistry,
): Promise<Recorded[]> {
  const recorded: Recorded[] = [];
  const server = createServer(async (incoming, outgoing) => {
    const { method = "", url: path = "", headers } = incoming;
    const body = Buffer.concat(await incoming.toArray());
    const forwarded = request(`${member.url}${path}`, { method, headers }, (answer) => {
      recorded.push({ method, path, body: body.toString(), status: answer.statusCode ?? 0 });
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    forwarded.on("error", () => outgoing.destroy());
    outgoing.on("close", () => forwarded.destroy());
    forwarded.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  registry.move(member.name, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return recorded;
}
