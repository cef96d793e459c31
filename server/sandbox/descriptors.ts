/** Descriptors that this process was given without close-on-exec, and that a child would inherit. Node's own are all closed. */
import { readdirSync, readFileSync } from "node:fs";

const O_CLOEXEC = 0o2000000;

/** The inheritable descriptors above 2; none where the system does not tell. */
export function inheritedDescriptors(): number[] {
  const flagsOf = (fd: number) => {
    try {
      return Number.parseInt(
        /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "",
        8,
      );
    } catch {
      // It was the one by which the folder was read.
      return O_CLOEXEC;
    }
  };
  let open: string[];
  try {
    open = readdirSync("/proc/self/fd");
  } catch {
    return [];
  }
  return open.map(Number).filter((fd) => fd > 2 && (flagsOf(fd) & O_CLOEXEC) === 0);
}
