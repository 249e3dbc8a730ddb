import { type Command, Option } from 'commander'
import { RegentError } from '../../kernel/errors.ts'
import { formats } from './output/format.ts'

/** `-o` and `--json`, the same on every command that prints something. */
export function withFormat(command: Command, choices: readonly string[] = formats): Command {
  return command
    .addOption(new Option('-o, --output <FORMAT>', 'how the answer is printed').choices([...choices]))
    .option('--json', 'short for -o json')
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `30s`, `5m`, `1h30m`; a bare number is seconds. In ms. */
export function durationOption(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Math.max(1, Math.round(Number(text) * 1000))
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) throw new RegentError('BAD_REQUEST', `'${text}' is no duration such as 30s or 5m`)
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)]
  return Math.max(1, Math.round(parts.reduce((total, [, value, unit]) => total + Number(value) * (units[unit ?? ''] ?? 0), 0)))
}

export function countOption(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new RegentError('BAD_REQUEST', `'${text}' is not a whole number`)
}

export const collect = (value: string, before: readonly string[] = []): string[] => [...before, value]

const sizes: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
}

/** `512MiB`, `1.5g`, or bytes. In bytes. */
export function sizeOption(text: string): number {
  const [, value, unit = ''] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text) ?? []
  const factor = sizes[unit.toLowerCase()]
  if (value === undefined || factor === undefined) throw new RegentError('BAD_REQUEST', `'${text}' is no size such as 512MiB`)
  return Math.round(Number(value) * factor)
}
