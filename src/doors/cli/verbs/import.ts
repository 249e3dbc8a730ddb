import { relative } from 'node:path'
import type { Command } from 'commander'
import { localUser } from '../../../kernel/local-user.ts'
import { fullName } from '../agents.ts'
import type { Cli } from '../cli.ts'
import type { Imported, Remark } from '../import/findings.ts'
import { inOrder, Names } from '../import/names.ts'
import { readProgramFile } from '../import/read-file.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { clean, plural } from '../output/text.ts'
import { withProgress } from '../progress.ts'

interface Options extends FormatOptions {
  dryRun?: boolean
  owner?: string
  start: boolean
}

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml', 'name'])
    .argument('<FILE...>', 'supervisord.conf, .ini, ecosystem.config.js or .json, process-compose.yaml')
    .option('--dry-run', 'show what would become of it, and change nothing')
    .option('--owner <USER>', 'whose the agents will be; default you')
    .option('--no-start', 'start nothing')
    .addHelpText(
      'after',
      '\nEach program becomes an agent; what Regent does otherwise is said, a line each. A second time changes nothing.\n' +
        'What is created is started where the other supervisor would start it: stop the programs there first.',
    )
    .action(async (files: string[], { dryRun = false, owner, start, ...options }: Options) => {
      const format = formatOf(options)
      const remarks: Remark[] = []
      const names = new Names()
      const found: Imported[] = []
      for (const file of files) found.push(...(await readProgramFile(file, cli.context.cwd, { env: cli.context.env, remarks }, names)))
      const whose = owner ?? (cli.hasOwnToken() ? undefined : localUser())
      const programs = inOrder(found).map((one) => ({ ...one, agent: { ...(whose !== undefined && { owner: whose }), ...one.agent } }))
      const agents = dryRun ? programs.map(({ agent }) => structuredClone(agent)) : await carryOut(cli, programs, start, format === 'table')
      if (format === 'json' || format === 'yaml') return printValue(cli.terminal, format, { agents, remarks })
      if (format === 'name') for (const { name } of programs.map(({ agent }) => agent)) cli.terminal.out(name)
      else if (dryRun) for (const one of programs) cli.terminal.out(planned(one))
      for (const { file, section, key, text } of remarks) cli.note(clean(`${shown(file, cli.context.cwd)}: ${section}: ${key}: ${text}`))
      if (dryRun) cli.note(`${plural(programs.length, 'agent')}; nothing was changed`)
    })
}

/** As its user would write it. */
function shown(file: string, cwd: string): string {
  const path = relative(cwd, file)
  return path.startsWith('..') ? file : path
}

const planned = ({ agent, start }: Imported): string =>
  `${agent.name}  ${start ? 'to be started' : 'not started'}  ${clean(agent.command.join(' '))}`

/** Everything is applied before anything is started, so that who depends on another finds it. */
async function carryOut(cli: Cli, programs: readonly Imported[], start: boolean, tell: boolean) {
  const client = await cli.client()
  const applied = []
  for (const { agent, start: wanted } of programs) {
    const result = await withProgress(cli, `applying ${agent.name}`, client.call('agents.apply', { agent }, { signal: cli.signal }))
    applied.push({ ...result, start: start && wanted && result.outcome === 'created' })
  }
  const report = []
  for (const { agent, outcome, notes, start: wanted } of applied) {
    const name = fullName(agent)
    if (wanted) await withProgress(cli, `starting ${name}`, client.call('agents.start', { agent: agent.id }, { signal: cli.signal }))
    if (tell) cli.terminal.out(`${name}  ${outcome}${wanted ? '  starting' : ''}`)
    if (tell) for (const note of notes) cli.note(`${name}: ${note}`)
    report.push({ agent: name, id: agent.id, outcome, started: wanted, notes })
  }
  return report
}
