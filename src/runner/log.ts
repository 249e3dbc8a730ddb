import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemCode } from '../kernel/errors.ts'
import type { Logger } from '../kernel/logger.ts'
import type { LogLevel, LogLine } from './log-line.ts'
import { LogPoster } from './log-poster.ts'

/** `json_config.logger`; further keys are fast-agent's. */
export interface LogSettings {
  readonly level: LogLevel
  readonly type: 'none' | 'console' | 'file' | 'http'
  readonly path?: unknown
  readonly http_endpoint?: unknown
  readonly http_headers?: unknown
}

export interface LogOptions {
  readonly name: string
  readonly settings: LogSettings
  /** Where a log file goes that has no path of its own. */
  readonly dir: string
  readonly redact: (text: string) => string
  readonly stderr: (line: string) => void
}

const order: readonly LogLevel[] = ['debug', 'info', 'warning', 'error']
const FILE_BYTES = 10 * 1024 * 1024

/** The agent's own log as its definition asks for: lines on stderr, a bounded file, a web address, or nothing. Secrets are masked. */
export function createLog(options: LogOptions): Logger {
  const write = writerOf(options)
  const lowest = order.indexOf(options.settings.level)
  const logger = (fields: object): Logger => {
    const at = (type: LogLevel) => (more: object, message: string) => {
      if (order.indexOf(type) < lowest) return
      const data = { ...fields, ...more }
      write({ timestamp: new Date().toISOString(), type, name: options.name, namespace: 'regent.runner', message, data })
    }
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warning'),
      error: at('error'),
      child: (more) => logger({ ...fields, ...more }),
    }
  }
  return logger({})
}

/** Masks the secrets in a text, the longest first; short ones are no secrets that could be told from words. */
export function redactor(secrets: Iterable<string>): (text: string) => string {
  const known = [...new Set(secrets)].filter((secret) => secret.length >= 6).sort((a, b) => b.length - a.length)
  return (text) => known.reduce((masked, secret) => masked.replaceAll(secret, '***'), text)
}

function writerOf(options: LogOptions): (line: LogLine) => void {
  const { settings, redact, stderr } = options
  const toConsole = (line: LogLine): void =>
    stderr(redact(`${line.timestamp} ${line.type} ${printable(line.message)}${fieldsText(line.data)}`))
  switch (settings.type) {
    case 'none':
      return () => {}
    case 'console':
      return toConsole
    case 'file': {
      const path = typeof settings.path === 'string' ? settings.path : join(options.dir, `${options.name}.jsonl`)
      return (line) => {
        const problem = appendBounded(path, `${redact(JSON.stringify(line))}\n`)
        if (problem !== null)
          stderr(`${line.timestamp} error the log file cannot be written (${problem}): ${redact(printable(line.message))}`)
      }
    }
    case 'http': {
      if (typeof settings.http_endpoint !== 'string') return toConsole
      const poster = new LogPoster(settings.http_endpoint, settings.http_headers, redact, toConsole)
      return (line) => poster.add(line)
    }
  }
}

/** Control characters of data must not look like lines or colours of ours. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

function fieldsText(fields: object): string {
  return Object.entries(fields)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? JSON.stringify(value) : printable(JSON.stringify(value) ?? 'undefined')}`)
    .join('')
}

/** The last folder of the path alone: where more is missing, the path is a mistake. */
function makeFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) mkdirSync(path, { mode: 0o700 })
}

/** One file of at most FILE_BYTES and the one before it; null, or why it could not be written. */
function appendBounded(path: string, text: string): string | null {
  try {
    const size = statSync(path, { throwIfNoEntry: false })?.size
    if (size === undefined) makeFolder(dirname(path))
    else if (size + text.length > FILE_BYTES) renameSync(path, `${path}.1`)
    appendFileSync(path, text, { mode: 0o600 })
    return null
  } catch (error) {
    return systemCode(error) ?? String(error)
  }
}
