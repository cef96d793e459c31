/** The token file: its lines, new tokens, and warnings of its mode. */
import { createHash } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { newToken, parseTokens, TokenFile, tokenFor } from "../../server/access/tokens.ts";

const hash = (token: string) => createHash("sha256").update(token).digest("hex");
const LINE = `ci sha256:${hash("secret")} scopes=call,observe pools=pipeline,gpu`;

describe("parseTokens", () => {
  test("reads a name, a hash, scopes and pools from each line", () => {
    const callers = parseTokens(
      `# who\r\n\n  ${LINE}  # the builds\nboss\tsha256:${hash("other")}\tscopes=admin\n#${LINE}\n`,
    );
    expect([...callers.values()].map(({ name }) => name)).toEqual(["ci", "boss"]);
    const ci = callers.get(hash("secret"));
    expect([
      ci?.may(["call"], "gpu"),
      ci?.may(["observe"], "pipeline"),
      ci?.may(["call"], "video"),
      ci?.may(["admin"], "gpu"),
    ]).toEqual([true, true, false, false]);
    const boss = callers.get(hash("other"));
    expect([boss?.may(["call"], "anything"), boss?.has(["observe"])]).toEqual([true, true]);
  });

  test("reads quotas, which are numbers", () => {
    const [ci] = parseTokens(`${LINE} maxChildren=3 maxRate=100`).values();
    expect(ci?.quotas).toEqual({ maxChildren: 3, maxRate: 100 });
    const quotas = { maxSlots: 2, maxStreams: 7 };
    const { line } = tokenFor("ci", { scopes: ["call"], pools: ["*"], quotas });
    expect([...parseTokens(line).values()][0]?.quotas).toEqual(quotas);
  });

  test.each<[string, RegExp]>([
    ...["0", "-1", "1.5", "1e3", "", "1000001", "x"].map((text): [string, RegExp] => [
      `${LINE} maxSlots=${text}`,
      /^line 1: expected maxSlots= and a whole number from 1 to 1000000; got /,
    ]),
    ["ci", /^line 1: expected sha256: and 64 hexadecimal digits behind ci; got 0 other/],
    [
      `${LINE}\n\nci2 dpool_mySecret scopes=call pools=*`,
      /^line 3: expected sha256: and 64 hexadecimal digits behind ci2; got 14 other characters$/,
    ],
    [LINE.replace("sha256:", "sha256:0"), /expected sha256:/],
    [LINE.replace("ci ", "c/i "), /expected a name of letters, digits, \. _ @ -; got "c\/i"/],
    [LINE.replace("observe", "fly"), /expected call, observe, admin; got "fly"/],
    [LINE.replace("call,observe", ""), /expected call, observe, admin; got ""/],
    [LINE.replace("scopes=call,observe ", ""), /expected call, observe, admin; got ""/],
    [
      LINE.replace("pools=", "pool="),
      /expected scopes=, pools=, maxChildren=, .*, maxStreams=; got "pool=pipeline,gpu"/,
    ],
    [LINE.replace("pipeline,gpu", "pipeline,"), /expected \* or pool names; got ""/],
    [LINE.replace("pipeline,gpu", "*,gpu"), /expected \* or pool names; got "\*"/],
    [
      LINE.replace(" pools=pipeline,gpu", ""),
      /expected pools=NAME,\.\.\. or pools=\*; got neither/,
    ],
    [`${LINE} pools=gpu`, /expected pools once; got it twice/],
    [
      `${LINE} admin`,
      /expected scopes=, pools=, maxChildren=, maxSlots=, maxRate=, maxStreams=; got "admin"/,
    ],
    [
      `${LINE}\n${LINE.replace(hash("secret"), hash("other"))}`,
      /^line 2: expected each name once; got ci again$/,
    ],
    [
      `${LINE}\n${LINE.replace("ci ", "cd ")}`,
      /^line 2: expected each token once; cd has that of ci$/,
    ],
  ])("refuses %s", (text, message) => {
    expect(() => parseTokens(text)).toThrow(message);
    // A token in the wrong column stays secret.
    expect(() => parseTokens(text)).not.toThrow(/mySecret/);
  });
});

test("newToken makes 256 random bits, and a line that a token file accepts", () => {
  const made = [
    newToken("ci", ["call"], ["pipeline"]),
    newToken("ci", ["call"], ["pipeline"]),
  ] as const;
  expect(made[0].token).not.toBe(made[1].token);
  expect(Buffer.from(made[0].token.replace("dpool_", ""), "base64url")).toHaveLength(32);
  expect(parseTokens(made[0].line).get(hash(made[0].token))?.name).toBe("ci");
  expect(() => newToken("c i", ["call"], ["*"])).toThrow(/expected a name of .*got "c i"/);
});

test("the log warns of a token file that others may write or read", async () => {
  const folder = await mkdtemp(join(tmpdir(), "dpool-tokens-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, "tokens");
  await writeFile(file, LINE);
  const logged = async (mode: number) => {
    await chmod(file, mode);
    const lines: string[] = [];
    new TokenFile(file, (level, message) => void lines.push(`${level} ${message}`)).close();
    return lines.join("\n");
  };
  expect(await logged(0o600)).toBe("");
  expect(await logged(0o644)).toMatch(/^warn .*everybody may read it \(mode 644\)/);
  expect(await logged(0o660)).toMatch(/^warn .*others than its owner may write it \(mode 660\)/);
});
