import type { Readable } from "node:stream";
export class Artifacts {
  problem: string | undefined;
  static async receive(
    tar: Readable,
    _o: { patterns: readonly string[]; maxBytes: number; maxFiles: number; folder: string; signal: AbortSignal },
  ): Promise<Artifacts> {
    tar.resume();
    return new Artifacts();
  }
  list(): { path: string; bytes: number }[] {
    return [];
  }
  open(_p: string): { bytes: number; stream: Readable } | undefined {
    return undefined;
  }
  close(): void {}
}
