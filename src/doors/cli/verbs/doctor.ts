import type { Command } from 'commander'
import type { Check } from '../../../contract/system.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'
import type { DoctorConfig } from '../context.ts'
import { localChecks } from '../local-checks.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { clean, plural, size } from '../output/text.ts'

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml'])
    .addHelpText('after', '\nExits with 1 when something is missing that Regent needs.')
    .action(async (options: FormatOptions) => {
      const format = formatOf(options)
      const checks = [...(await configured(cli)), ...(await served(cli))]
      const failed = checks.filter(({ ok, required }) => !ok && required)
      if (failed.length > 0) cli.exitCode = 1
      if (format !== 'table') return printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', { ok: failed.length === 0, checks })
      const width = Math.max(...checks.map(({ name }) => name.length))
      for (const check of checks) cli.terminal.out(line(cli, check, width))
      cli.note(failed.length === 0 ? 'everything that Regent needs is here' : `missing: ${failed.map(({ name }) => name).join(', ')}`)
    })
}

function line(cli: Cli, { name, ok, required, message }: Check, width: number): string {
  const { paint } = cli.terminal
  const mark = ok ? paint('green', 'ok     ') : required ? paint('red', 'missing') : paint('yellow', 'note   ')
  return `${mark}  ${name.padEnd(width)}  ${clean(message)}`
}

/** What can be told without a server; a wrong configuration is a finding too. */
async function configured(cli: Cli): Promise<Check[]> {
  let config: DoctorConfig
  try {
    config = (await cli.context.config()).inspect(cli.flags()).config
  } catch (error) {
    if (!(error instanceof RegentError)) throw error
    return [{ name: 'configuration', ok: false, required: true, message: `${error.message}; ${error.hint ?? ''}` }]
  }
  const warnings = config.warnings.map((message) => ({ name: 'configuration', ok: false, required: false, message }))
  const right = { name: 'configuration', ok: true, required: true, message: 'is right' }
  return [...(warnings.length > 0 ? warnings : [right]), ...(await localChecks(config, cli.context.env))]
}

const levels = {
  A: 'everything, whatever it does',
  B: 'everything that did not leave its namespace',
  C: 'everything that kept its marker or group',
  D: 'the process group only',
}

const stopLevel = (level: keyof typeof levels): Check => ({
  ...{ name: 'server: stop', ok: true, required: false },
  message: `level ${level}: a stop ends ${levels[level]}`,
})

/** A database on a server, and brokers, which the Regent that is to come needs. */
async function stored(cli: Cli): Promise<readonly Check[]> {
  try {
    return await (await cli.context.offline(cli.flags())).checkServers()
  } catch (error) {
    // A wrong configuration is told as such.
    if (error instanceof RegentError) return []
    throw error
  }
}

/** What the server says of itself, and of every agent that lacks something. */
async function served(cli: Cli): Promise<Check[]> {
  try {
    const status = await (await cli.client()).call('system.status', {}, { signal: cli.signal })
    const { memory_bytes, open_files, event_loop_lag_ms: lag } = status.process
    const takes = [
      size(memory_bytes),
      ...(open_files === null ? [] : [plural(open_files, 'open file')]),
      ...(status.workers.open === 0 ? [] : [plural(status.workers.open, 'open worker')]),
      ...(lag === null ? [] : [`timers at most ${lag} ms late`]),
    ]
    return [
      {
        name: 'server',
        ok: true,
        required: false,
        message: `${status.version}, pid ${status.pid}, ${status.ready ? 'ready' : 'not ready'}; ${takes.join(', ')}`,
      },
      ...status.checks.map((check) => ({ ...check, name: `server: ${check.name}` })),
      // The runtime itself says more of it, where it can.
      ...(status.checks.some(({ name }) => name === 'stop level') ? [] : [stopLevel(status.stop_level)]),
      ...status.conditions.map(({ agent, type, subject, message }) => ({
        name: agent,
        ok: false,
        required: false,
        message: `${type} ${subject}: ${message}`,
      })),
    ]
  } catch (error) {
    const isAbsent = error instanceof RegentError && error.details.what === 'server'
    const message = isAbsent
      ? 'not running: start it with `regent serve`'
      : `${reasonOf(error)}${error instanceof RegentError && error.hint ? `; ${error.hint}` : ''}`
    const store = isAbsent ? await stored(cli) : []
    return [...store, { name: 'server', ok: false, required: !isAbsent, message }]
  }
}
