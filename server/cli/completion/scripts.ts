/** `dpool completion`: the script by which a shell asks `dpool` for the rest of a word. */
import { write } from "../output/write.ts";
import { argumentsOf, type Parsed } from "../parse.ts";
import { UsageError } from "../usage-error.ts";

/**
 * Each script passes the words up to the cursor on, as they are, without a second look by the
 * shell. Where there are no candidates, as behind `--`, the shell completes files.
 */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `# For ~/.bashrc: source <(dpool completion bash)
_dpool() {
  local IFS=$'\\n'
  COMPREPLY=($("$1" __complete bash "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o bashdefault -o default -F _dpool dpool distributed-pool
`,
  zsh: `#compdef dpool distributed-pool
# For ~/.zshrc, behind compinit: source <(dpool completion zsh)
_dpool() {
  local line
  local -a lines candidates
  lines=("\${(@f)$("$words[1]" __complete zsh "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "\${(@)lines:#}"; do
    candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  if (( $#candidates )); then _describe -V dpool candidates; else _files; fi
}
if [[ "\${funcstack[1]}" == _dpool ]]; then
  _dpool "$@"
else
  compdef _dpool dpool distributed-pool
fi
`,
  fish: `# For ~/.config/fish/config.fish: dpool completion fish | source
function __dpool_candidates
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($words[1] __complete fish $words[2..-1] "$current" 2>/dev/null)
    if set -q found[1]
        printf '%s\\n' $found
    else
        __fish_complete_path "$current"
    end
end
complete -c dpool -f -a '(__dpool_candidates)'
complete -c distributed-pool -f -a '(__dpool_candidates)'
`,
};

export const SHELLS = Object.keys(SCRIPTS);

export async function printScript(parsed: Parsed): Promise<number> {
  const [shell] = argumentsOf(parsed, `one of ${SHELLS.join(", ")}`);
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
  if (script === undefined)
    throw new UsageError(`expected one of ${SHELLS.join(", ")}; got ${shell}`);
  await write(process.stdout, script);
  return 0;
}
