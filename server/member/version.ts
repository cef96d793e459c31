/** The version of the package, read from `package.json`. */
import manifest from "../../package.json" with { type: "json" };

export const VERSION = manifest.version;
