import type { Command } from 'commander'
import type { AgentDetail } from '../../../contract/agents.ts'
import { fullName, stateColour } from '../agents.ts'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import type { Paint } from '../output/terminal.ts'
import { clean, cleanLines, duration, money, timeOf } from '../output/text.ts'
import { inParallel } from '../parallel.ts'
import { about, resolveTargets, type Target } from '../targets.ts'

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml', 'name'])
    .argument('<AGENT...>', 'names, owner/name, ids, globs, or all')
    .action(async (words: string[], options: FormatOptions) => {
      const format = formatOf(options)
      const client = await cli.client()
      const targets = await resolveTargets(client, words)
      const get = ({ ref }: Target) => about(client, ref, () => client.call('agents.get', { agent: ref }, { signal: cli.signal }))
      const agents = (await inParallel(targets, get)).map((settled) => {
        if (settled.status === 'rejected') throw settled.reason
        return settled.value
      })
      if (format === 'json' || format === 'yaml') return printValue(cli.terminal, format, agents.length === 1 ? agents[0] : agents)
      for (const [index, agent] of agents.entries()) {
        if (format === 'name') cli.terminal.out(fullName(agent))
        else cli.terminal.out((index > 0 ? '\n' : '') + describe(agent, cli.terminal.paint).join('\n'))
      }
    })
}

function describe(agent: AgentDetail, paint: Paint): string[] {
  const { usage, policy, limits } = agent
  const exit = agent.exit_signal ?? agent.exit_code
  const lines: [string, string | null][] = [
    ['name', fullName(agent)],
    ['id', agent.id],
    ['kind', agent.kind],
    ['state', `${paint(stateColour(agent.state), agent.state)} since ${timeOf(agent.since)}: ${clean(agent.reason)}`],
    ['wanted', agent.desired],
    ['activity', agent.activity],
    ['process', agent.pid === null ? null : `${agent.pid}, up ${duration(agent.uptime_ms ?? 0)}, restarted ${agent.restarts} times`],
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
    ['stop', `${policy.stop_signal}, KILL after ${policy.stop_grace} s`],
    [
      'limits',
      Object.entries(limits)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ') || null,
    ],
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
    paint('dim', 'definition'),
    ...definition,
  ]
}
