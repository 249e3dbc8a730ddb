import type { Command } from 'commander'
import { Argument } from 'commander'
import type { Cli } from '../cli.ts'

export function configure(command: Command, _: Cli): void {
  command
    .addArgument(new Argument('<SHELL>', 'of which shell').choices(['bash', 'zsh', 'fish', 'powershell']))
    .addHelpText(
      'after',
      `
bash        source <(regent completion bash)
zsh         regent completion zsh > "\${fpath[1]}/_regent"
fish        regent completion fish > ~/.config/fish/completions/regent.fish
powershell  regent completion powershell | Out-String | Invoke-Expression`,
    )
    .action(async (shell: string) => {
      const { script } = await import('@bomb.sh/tab')
      script(shell, 'regent', 'regent')
    })
}
