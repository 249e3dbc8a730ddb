import type { Command } from 'commander'
import type { Cli } from '../cli.ts'

/** Only its help: main.ts starts the server itself, so that it need not carry the CLI. */
export async function configure(command: Command, cli: Cli): Promise<void> {
  const { settings } = await cli.context.config()
  command.usage('[options]').option('--project <DIR>', 'project folder; default the working directory (REGENT_PROJECT)')
  for (const { flag, description, env } of settings) if (flag) command.option(`--${flag} <VALUE>`, `${description} (${env.join(', ')})`)
  command.addHelpText(
    'after',
    '\nPrints `regent ready http://HOST:PORT` when it is. More settings: `regent config schema`, docs/configuration.md.',
  )
}
