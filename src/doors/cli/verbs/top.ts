import { setTimeout as pause } from 'node:timers/promises'
import { type Command, Option } from 'commander'
import type { AgentView } from '../../../contract/agents.ts'
import { liveStates } from '../../../contract/states.ts'
import { cpuOf, fullName, listAgents, memoryOf, messageOf, stateColour } from '../agents.ts'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { type Column, layout } from '../output/table.ts'
import { duration, plural, size } from '../output/text.ts'
import { filterAgents } from '../targets.ts'

interface Options extends FormatOptions {
  owner?: string
  sort: 'cpu' | 'memory' | 'name'
  once?: boolean
}

const REFRESH_MS = 1000

const columns: readonly Column<AgentView>[] = [
  { title: 'NAME', value: ({ name }) => name, least: 12 },
  { title: 'OWNER', value: ({ owner }) => owner, least: 6, dropAt: 6 },
  { title: 'STATE', value: ({ state }) => state, colour: ({ state }) => stateColour(state) },
  { title: 'CPU', value: cpuOf, align: 'right' },
  { title: 'MEM', value: memoryOf, align: 'right' },
  { title: 'PROCS', value: ({ resources }) => String(resources?.processes ?? '-'), align: 'right', dropAt: 4 },
  { title: 'FILES', value: ({ resources }) => String(resources?.open_files ?? '-'), align: 'right', dropAt: 5 },
  { title: 'PID', value: ({ pid }) => String(pid ?? '-'), align: 'right', dropAt: 7 },
  { title: 'UPTIME', value: ({ uptime_ms }) => (uptime_ms === null ? '-' : duration(uptime_ms)), align: 'right', dropAt: 3 },
  { title: 'MESSAGE', value: messageOf, colour: () => 'dim', least: 16, dropAt: 1 },
]

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json'])
    .argument('[AGENT...]', 'only these: names, owner/name, ids, globs')
    .option('--owner <USER>', 'only agents of this user')
    .addOption(new Option('--sort <BY>', 'what comes first').choices(['cpu', 'memory', 'name']).default('cpu'))
    .option('-1, --once', 'show it once, as where the output is no terminal')
    .addHelpText('after', '\nCPU is the share of one core. Ctrl-C ends it.')
    .action(async (words: string[], options: Options) => {
      const client = await cli.client()
      const isJson = formatOf(options) === 'json'
      const isOnce = options.once || isJson || !cli.terminal.outIsTerminal
      for (;;) {
        const agents = sorted(filterAgents(await listAgents(client, options.owner, cli.signal), words), options.sort)
        if (isJson) return printValue(cli.terminal, 'json', agents)
        show(cli, agents, isOnce)
        if (isOnce) return
        await pause(REFRESH_MS, undefined, { signal: cli.signal })
      }
    })
}

/** As many as the terminal has lines for; whoever lives comes before whoever does not. */
function show(cli: Cli, agents: readonly AgentView[], isOnce: boolean): void {
  const { terminal } = cli
  const room = isOnce ? agents.length : Math.max(1, (process.stdout.rows || 24) - 4)
  const lines = [totalsOf(agents), '', ...layout(agents.slice(0, room), columns, terminal.width, terminal.paint)]
  if (agents.length > room) lines.push(terminal.paint('dim', `and ${agents.length - room} more`))
  // Over what stands there, line by line: a screen that is wiped first would flicker.
  if (isOnce) terminal.out(lines.join('\n'))
  else process.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`)
}

function totalsOf(agents: readonly AgentView[]): string {
  const live = agents.filter(({ state }) => liveStates.includes(state))
  const sum = (pick: (agent: AgentView) => number | null | undefined) => live.reduce((total, agent) => total + (pick(agent) ?? 0), 0)
  const parts = [
    `${plural(agents.length, 'agent')}, ${live.length} live`,
    `CPU ${sum(({ resources }) => resources?.cpu_percent).toFixed(1)}%`,
    `MEM ${size(sum(({ resources }) => resources?.memory_bytes))}`,
    `${plural(
      sum(({ resources }) => resources?.processes),
      'process',
    )}`,
  ]
  return parts.join('   ')
}

function sorted(agents: readonly AgentView[], by: Options['sort']): AgentView[] {
  const weight = ({ resources }: AgentView): number => (by === 'cpu' ? resources?.cpu_percent : resources?.memory_bytes) ?? -1
  const compare = (a: AgentView, b: AgentView) => (by === 'name' ? 0 : weight(b) - weight(a))
  return [...agents].sort((a, b) => compare(a, b) || (fullName(a) < fullName(b) ? -1 : 1))
}
