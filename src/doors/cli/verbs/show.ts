import type { Command } from 'commander'
import type { AgentDetail } from '../../../contract/agents.ts'
import { fullName, stateColour } from '../agents.ts'
import type { Cli } from '../cli.ts'
import { countOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import type { Paint } from '../output/terminal.ts'
import { clean, cleanLines, duration, money, size, timeOf } from '../output/text.ts'
import { inParallel } from '../parallel.ts'
import { about, resolveTargets } from '../targets.ts'
import { readTimeline, type Timeline, timelineLines } from '../timeline.ts'

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml', 'name'])
    .argument('<AGENT...>', 'names, owner/name, ids, globs, or all')
    .option('--timeline', 'only why it is in its state: what happened to it, with the causes')
    .option('-n, --tail <N>', 'the last N entries of the timeline (default 10; with --timeline all)', countOption)
    .action(async (words: string[], options: Options) => {
      const format = formatOf(options)
      const client = await cli.client()
      const targets = await resolveTargets(client, words)
      const isMachine = format === 'json' || format === 'yaml'
      const agents = await all(targets, ({ ref }) =>
        about(client, ref, () => client.call('agents.get', { agent: ref }, { signal: cli.signal })),
      )
      if (format === 'name') return agents.forEach((agent) => void cli.terminal.out(fullName(agent)))
      if (isMachine && !options.timeline) return printValue(cli.terminal, format, agents.length === 1 ? agents[0] : agents)
      const most = options.tail ?? (options.timeline ? Number.MAX_SAFE_INTEGER : SHOWN)
      const timelines = await all(agents, ({ id }) => readTimeline(client, id, most, cli.signal))
      const shown = agents.map((agent, index) => ({ agent, timeline: timelines[index] ?? { state: agent.state, why: '', entries: [] } }))
      if (isMachine) {
        const values = shown.map(({ agent, timeline }) => ({ agent: fullName(agent), ...timeline }))
        return printValue(cli.terminal, format, values.length === 1 ? values[0] : values)
      }
      for (const [index, one] of shown.entries()) {
        const lines = options.timeline ? history(one, cli.terminal.paint) : describe(one, cli.terminal.paint)
        cli.terminal.out((index > 0 ? '\n' : '') + lines.join('\n'))
      }
    })
}

interface Options extends FormatOptions {
  timeline?: boolean
  tail?: number
}

interface Shown {
  readonly agent: AgentDetail
  readonly timeline: Timeline
}

/** Entries of the timeline beside everything else. */
const SHOWN = 10

async function all<T, R>(items: readonly T[], ask: (item: T) => Promise<R>): Promise<R[]> {
  return (await inParallel(items, ask)).map((settled) => {
    if (settled.status === 'rejected') throw settled.reason
    return settled.value
  })
}

const history = ({ agent, timeline }: Shown, paint: Paint): string[] => [
  `${fullName(agent)}  ${paint(stateColour(agent.state), agent.state)}  ${clean(timeline.why)}`,
  ...timelineLines(timeline, paint),
]

function healthOf({ health, ready }: AgentDetail): string | null {
  const said = [health, ready === null ? null : ready ? 'ready' : 'not ready'].filter((word) => word !== null)
  return said.length === 0 ? null : said.join(', ')
}

function schedulesOf({ schedules }: AgentDetail): string | null {
  const told = schedules.map(
    ({ cron, timezone, action, next }) => `${action} at ${clean(cron)} ${timezone}, next ${next === null ? 'never' : timeOf(next)}`,
  )
  return told.length === 0 ? null : told.join('; ')
}

function dependenciesOf({ policy }: AgentDetail): string | null {
  const names = Object.entries(policy.depends_on ?? {}).map(([name, { condition }]) => `${name} (${condition})`)
  return names.length === 0 ? null : names.join(', ')
}

function limitsOf({ memory_bytes, ...others }: AgentDetail['limits']): string | null {
  const memory = memory_bytes === undefined ? [] : [`memory ${size(memory_bytes)}`]
  return [...memory, ...Object.entries(others).map(([name, value]) => `${name.replace('_', ' ')} ${value}`)].join(', ') || null
}

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`)

function describe({ agent, timeline }: Shown, paint: Paint): string[] {
  const { usage, policy, limits } = agent
  const exit = agent.exit_signal ?? agent.exit_code
  const lines: [string, string | null][] = [
    ['name', fullName(agent)],
    ['id', agent.id],
    ['kind', agent.kind],
    ['state', `${paint(stateColour(agent.state), agent.state)} since ${timeOf(agent.since)}: ${clean(agent.reason)}`],
    ['why', clean(timeline.why)],
    ['wanted', agent.desired],
    ['activity', agent.activity],
    ['health', healthOf(agent)],
    ['process', agent.pid === null ? null : `${agent.pid}, up ${duration(agent.uptime_ms ?? 0)}, restarted ${times(agent.restarts)}`],
    ['last exit', exit === null ? null : typeof exit === 'string' ? `killed by ${exit}` : `code ${exit}`],
    ['runtime', agent.runtime],
    ['program', agent.program],
    ['file', agent.file],
    [
      'revision',
      agent.running_revision === null || agent.running_revision === agent.revision
        ? String(agent.revision)
        : `${agent.revision} (running: ${agent.running_revision})`,
    ],
    ['restart', `${policy.restart}, startsecs ${policy.startsecs}, startretries ${policy.startretries}`],
    ['depends on', dependenciesOf(agent)],
    ['schedules', schedulesOf(agent)],
    ['stop', `${policy.stop_signal}, KILL after ${policy.stop_grace} s`],
    ['limits', limitsOf(limits)],
    ['queue', String(agent.queued)],
    [
      'usage',
      usage.model_calls === 0
        ? null
        : `${usage.model_calls} model calls, ${usage.input_tokens} + ${usage.output_tokens} tokens${usage.cost_usd !== 0 ? `, ${money(usage.cost_usd)}` : ''}`,
    ],
  ]
  const shown = lines.flatMap(([label, value]) => (value === null ? [] : [`${paint('dim', label.padEnd(10))} ${value}`]))
  const conditions = agent.conditions.map(
    ({ type, subject, message, since }) => `  ${paint('yellow', `${type} ${clean(subject)}`)} since ${timeOf(since)}: ${clean(message)}`,
  )
  const definition = cleanLines(JSON.stringify(agent.definition, null, 2))
    .split('\n')
    .map((line) => `  ${line}`)
  return [
    ...shown,
    ...(conditions.length > 0 ? [paint('dim', 'conditions'), ...conditions] : []),
    ...agent.notes.map((note) => `${paint('dim', 'note'.padEnd(10))} ${clean(note)}`),
    ...(timeline.entries.length > 0 ? [paint('dim', 'timeline'), ...timelineLines(timeline, paint)] : []),
    paint('dim', 'definition'),
    ...definition,
  ]
}
