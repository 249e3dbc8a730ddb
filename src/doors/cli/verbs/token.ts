import type { Command } from 'commander'
import { Option } from 'commander'
import { roles, type TokenView } from '../../../contract/tokens.ts'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printListing, printValue } from '../output/format.ts'
import type { Column } from '../output/table.ts'
import { plural, timeOf } from '../output/text.ts'

const columns: readonly Column<TokenView>[] = [
  { title: 'ID', value: ({ id }) => id.slice(0, 8) },
  { title: 'USER', value: ({ user }) => user, least: 8 },
  { title: 'ROLE', value: ({ role }) => role },
  { title: 'CREATED', value: ({ created_at }) => timeOf(created_at) },
  { title: 'LAST USED', value: ({ last_used_at }) => (last_used_at === null ? '-' : timeOf(last_used_at)) },
  { title: 'REVOKED', value: ({ revoked_at }) => (revoked_at === null ? '-' : timeOf(revoked_at)), dropAt: 1 },
]

export function configure(command: Command, cli: Cli): void {
  configureCreate(command.command('create').description('create a token; it is shown once'), cli)
  withFormat(command.command('list').alias('ls').description('list tokens')).action(async (options: FormatOptions) => {
    const format = formatOf(options)
    const { tokens } = await (await cli.client()).call('tokens.list', {}, { signal: cli.signal })
    const wide: Column<TokenView>[] = [{ title: 'FULL ID', value: ({ id }) => id }]
    await printListing(cli.terminal, format, {
      rows: tokens,
      columns,
      wide,
      name: ({ id }) => id,
      empty: 'no tokens: `regent token create USER`',
    })
  })
  configureRevoke(command.command('revoke').alias('rm').description('revoke a token, or all of a user'), cli)
}

function configureCreate(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml'])
    .argument('<USER>', 'whose it is; agents created with it are theirs')
    .addOption(new Option('--role <ROLE>', 'what it allows').choices([...roles]).default('user'))
    .action(async (user: string, { role, ...options }: FormatOptions & { role: TokenView['role'] }) => {
      const format = formatOf(options)
      const made = await (await cli.client()).call('tokens.create', { user, role }, { signal: cli.signal })
      if (format !== 'table') return printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', made)
      cli.terminal.out(made.token)
      cli.note(`a token for ${made.user} (${made.role}); it is shown only now`)
      cli.next('REGENT_TOKEN=… regent ps --url http://HOST:PORT', "curl -H 'Authorization: Bearer …' http://HOST:PORT/api/v1/agents")
    })
}

function configureRevoke(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml'])
    .argument('<TOKEN>', 'id, unique prefix of it, or a user')
    .option('-y, --yes', 'accepted, as for rm: revoking never asks, since it must not wait')
    .action(async (token: string, options: FormatOptions) => {
      const format = formatOf(options)
      const { revoked } = await (await cli.client()).call('tokens.revoke', { token }, { signal: cli.signal })
      if (format !== 'table') return printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', revoked)
      cli.terminal.out(
        `revoked ${plural(revoked.length, 'token')}${revoked.map(({ id, user }) => `\n${id.slice(0, 8)}  ${user}`).join('')}`,
      )
    })
}
