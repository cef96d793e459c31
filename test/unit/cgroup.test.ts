/** The folders of this process's own groups, from the texts of many kinds of kernels. */
import { describe, expect, test } from "vitest";
import { type CgroupFiles, ownGroups } from "../../server/sandbox/hierarchy.ts";

const OTHERS = `22 27 0:21 / /proc rw,nosuid shared:12 - proc proc rw
23 27 0:22 / /sys rw,nosuid shared:2 - sysfs sysfs rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
31 23 0:28 / /sys/fs/cgroup ro,nosuid shared:4 - tmpfs tmpfs ro,mode=755
`;
const V2 =
  "32 23 0:29 / /sys/fs/cgroup rw,nosuid,nodev,noexec shared:5 master:1 - " +
  "cgroup2 cgroup2 rw,nsdelegate\n";
const v1 = (path: string, names: string, root = "/") =>
  `33 31 0:30 ${root} /sys/fs/cgroup/${path} rw,nosuid shared:9 - cgroup cgroup rw,${names}\n`;
const UNIFIED = "41 31 0:38 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw\n";

const CONTROLLERS = ["memory", "pids", "cpu", "cpuacct"];
const anything = () => true;
const only =
  (...paths: string[]) =>
  (path: string) =>
    paths.includes(path);
const found = (files: CgroupFiles, exists: (path: string) => boolean = anything) => {
  const own = ownGroups(files, exists);
  return own && { version: own.version, folders: Object.fromEntries(own.folders) };
};
const all = (path: string) => Object.fromEntries(CONTROLLERS.map((name) => [name, path]));

describe("version 2", () => {
  test("a service's own group", () => {
    expect(found({ mountinfo: OTHERS + V2, cgroup: "0::/system.slice/dpool.service\n" })).toEqual({
      version: 2,
      folders: all("/sys/fs/cgroup/system.slice/dpool.service"),
    });
  });

  test("the root group, without a slash at the end", () => {
    expect(found({ mountinfo: OTHERS + V2, cgroup: "0::/\n" })?.folders.memory).toBe(
      "/sys/fs/cgroup",
    );
  });

  test("a name with colons", () => {
    expect(found({ mountinfo: OTHERS + V2, cgroup: "0::/a:b/c:d\n" })?.folders.cpu).toBe(
      "/sys/fs/cgroup/a:b/c:d",
    );
  });

  test("in a container with a namespace of its own", () => {
    expect(found({ mountinfo: V2, cgroup: "0::/\n" }, only("/sys/fs/cgroup"))).toEqual({
      version: 2,
      folders: all("/sys/fs/cgroup"),
    });
  });

  test("in a container that sees its own part under the host's path", () => {
    const mountinfo = "32 23 0:29 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    expect(found({ mountinfo, cgroup: "0::/docker/abc\n" })?.folders.memory).toBe("/sys/fs/cgroup");
    expect(found({ mountinfo, cgroup: "0::/docker/abc/inner\n" })?.folders.memory).toBe(
      "/sys/fs/cgroup/inner",
    );
  });

  test("a path that does not exist here: the mount itself", () => {
    expect(
      found({ mountinfo: V2, cgroup: "0::/kubepods/pod1\n" }, only("/sys/fs/cgroup"))?.folders.pids,
    ).toBe("/sys/fs/cgroup");
  });
});

describe("version 1", () => {
  const cgroup =
    "9:name=systemd:/user.slice\n8:pids:/user.slice\n4:memory:/own/deep\n2:cpu,cpuacct:/\n";
  const mountinfo =
    OTHERS +
    v1("cpu,cpuacct", "cpu,cpuacct") +
    v1("memory", "memory") +
    v1("pids", "pids") +
    v1("systemd", "xattr,name=systemd");

  test("one folder for each controller; controllers of one hierarchy share it", () => {
    expect(found({ mountinfo, cgroup })).toEqual({
      version: 1,
      folders: {
        memory: "/sys/fs/cgroup/memory/own/deep",
        pids: "/sys/fs/cgroup/pids/user.slice",
        cpu: "/sys/fs/cgroup/cpu,cpuacct",
        cpuacct: "/sys/fs/cgroup/cpu,cpuacct",
      },
    });
  });

  test("a group that does not exist here: the mount itself", () => {
    const own = found({ mountinfo, cgroup }, only("/sys/fs/cgroup/pids/user.slice"));
    expect(own?.folders).toMatchObject({
      memory: "/sys/fs/cgroup/memory",
      pids: "/sys/fs/cgroup/pids/user.slice",
    });
  });

  test("in a container that sees its own part", () => {
    const contained =
      v1("cpu", "cpu", "/docker/x") +
      v1("cpuacct", "cpuacct", "/docker/x") +
      v1("memory", "memory", "/docker/x") +
      v1("pids", "pids", "/docker/x");
    const own = found({
      mountinfo: contained,
      cgroup: "4:memory:/docker/x\n3:pids:/docker/x\n2:cpuacct:/docker/x/y\n1:cpu:/docker/x\n",
    });
    expect(own).toMatchObject({
      version: 1,
      folders: { memory: "/sys/fs/cgroup/memory", cpuacct: "/sys/fs/cgroup/cpuacct/y" },
    });
  });

  test("beside version 2, as in systemd's hybrid mode: version 1 has the controllers", () => {
    expect(
      found({ mountinfo: mountinfo + UNIFIED, cgroup: `${cgroup}0::/user.slice\n` })?.version,
    ).toBe(1);
  });

  test("incomplete, beside version 2: version 2", () => {
    const without = OTHERS + v1("cpu,cpuacct", "cpu,cpuacct") + v1("memory", "memory") + UNIFIED;
    expect(found({ mountinfo: without, cgroup: `${cgroup}0::/user.slice\n` })).toEqual({
      version: 2,
      folders: all("/sys/fs/cgroup/unified/user.slice"),
    });
  });

  test("incomplete: none", () => {
    expect(
      found({
        mountinfo: OTHERS + v1("cpu,cpuacct", "cpu,cpuacct") + v1("memory", "memory"),
        cgroup,
      }),
    ).toBeUndefined();
  });
});

test.each([
  ["nothing", "", ""],
  ["no mounts", OTHERS, "0::/\n"],
  ["no group", V2, ""],
  ["lines that are none", "garbage\n - \n - cgroup2\n", "garbage\n:\n::\n"],
])("no groups in %s", (_, mountinfo, cgroup) => {
  expect(() => found({ mountinfo, cgroup }, () => false)).not.toThrow();
  if (!mountinfo.includes("cgroup2")) expect(found({ mountinfo, cgroup })).toBeUndefined();
});
