export const FILES_FD = 7;
export const ARTIFACTS_FD = 8;
export const PROGRAM_DEPTH = 1;
export function packed(argv: readonly string[], _options: { files: boolean; artifacts: readonly string[] }): string[] {
  return [...argv];
}
