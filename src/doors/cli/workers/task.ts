import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import type { GivenInput } from '../../../client/client.ts'
import { workerVariables } from '../../../contract/worker-variables.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'
import { collect, durationOption } from '../options.ts'
import { readTextFile } from '../read-input.ts'
import { givenVariables, variablesOf } from '../variables.ts'

/** What a worker is given, as far as `worker run` and `race` share it. */
export interface TaskOptions {
  readonly file?: string
  readonly cwd?: string
  readonly worktree?: boolean
  readonly base?: string
  readonly timeout?: number
  readonly budget?: NonNullable<Spec['budget']>
  readonly permissionMode?: string
  readonly permissions?: 'ask' | 'cli'
  readonly permissionTimeout?: number
  readonly allowedTools?: string[]
  readonly disallowedTools?: string[]
  readonly appendSystemPrompt?: string
  readonly waitLimits?: boolean
  readonly label?: string
  readonly priority?: number
  readonly env?: string[]
  readonly envFile?: string[]
}

type Spec = Omit<GivenInput<'workers.create'>['worker'], 'prompt' | 'queue' | 'owner' | 'namespace'>

export function withTask(command: Command): Command {
  return command
    .option('--file <FILE>', 'read the prompt from a file')
    .option('--cwd <DIR>', 'where it works; default this folder')
    .option('--worktree', 'in a git worktree of its own, on a branch regent/ID')
    .option('--base <COMMIT>', 'which commit its worktree begins with; default HEAD')
    .option('--timeout <DURATION>', 'how long each turn may take, such as 10m; default 5m', durationOption)
    .option('--budget <LIMIT>', 'a hard stop: 2usd, 50000tokens or 10m of running; may be given several times', budgetOption)
    .addOption(new Option('--permissions <WHO>', 'who answers what its CLI asks; ask: you, by approvals').choices(['ask', 'cli']))
    .option('--permission-timeout <DURATION>', 'until an unanswered one is rejected; default 2m', durationOption)
    .option('--permission-mode <MODE>', "its CLI's own word, such as acceptEdits")
    .option('--allowed-tools <TOOLS>', "such as 'Read,Bash(git log:*)'; may be given several times", toolsOption)
    .option('--disallowed-tools <TOOLS>', 'the same, for those it must not use', toolsOption)
    .option('--append-system-prompt <TEXT>', 'more for its instructions')
    .option('--no-wait-limits', "fail at a provider's limit instead of waiting it out")
    .option('--label <TEXT>', 'a word for lists')
    .option('--priority <N>', 'from -100 to 100; higher ones start first', wholeNumber)
    .option('-e, --env <NAME=VALUE>', 'a variable for it; NAME alone takes your value', collect)
    .option('--env-file <FILE>', 'variables from a file', collect)
}

/** What was typed: the prompt, and what stands behind `--`. */
export interface Words {
  readonly prompt: readonly string[]
  readonly behind: readonly string[]
}

/** `argv` as it was typed, since the parser tells words before and behind `--` no more apart. */
export function splitWords(words: readonly string[], argv: readonly string[]): Words {
  const at = argv.indexOf('--')
  const behind = at === -1 ? 0 : Math.min(words.length, argv.length - at - 1)
  return { prompt: words.slice(0, words.length - behind), behind: words.slice(words.length - behind) }
}

/** From the words, a file, or stdin (`-`). */
export async function promptOf(cli: Cli, words: readonly string[], { file }: Pick<TaskOptions, 'file'>): Promise<string> {
  const typed = words.join(' ')
  if (file !== undefined && typed !== '') throw new RegentError('BAD_REQUEST', 'the prompt is given twice: as a word and by --file')
  const prompt = file !== undefined ? await readTextFile(file, cli.context.cwd) : typed === '-' ? await text(process.stdin) : typed
  if (prompt.trim() !== '') return prompt
  throw new RegentError('BAD_REQUEST', 'there is no prompt', { hint: 'write it in quotes, or - for stdin, or --file FILE' })
}

export async function specOf(cli: Cli, options: TaskOptions): Promise<Spec> {
  const { env, cwd } = cli.context
  const { permissionTimeout, timeout } = options
  return {
    cwd: resolve(cwd, options.cwd ?? '.'),
    env: { ...workerVariables(env), ...(await variablesOf(options.envFile ?? [], cwd)), ...givenVariables(options.env ?? [], env) },
    ...(options.base !== undefined
      ? { worktree: { base: options.base } }
      : options.worktree === undefined
        ? {}
        : { worktree: options.worktree }),
    ...(timeout !== undefined && { timeout: timeout / 1000 }),
    ...(options.budget && { budget: options.budget }),
    ...(options.permissions && { permissions: options.permissions }),
    ...(permissionTimeout !== undefined && { permission_timeout: permissionTimeout / 1000 }),
    ...(options.permissionMode !== undefined && { permission_mode: options.permissionMode }),
    ...(options.allowedTools && { allowed_tools: options.allowedTools }),
    ...(options.disallowedTools && { disallowed_tools: options.disallowedTools }),
    ...(options.appendSystemPrompt !== undefined && { append_system_prompt: options.appendSystemPrompt }),
    ...(options.waitLimits === false && { wait_limits: false }),
    ...(options.label !== undefined && { label: options.label }),
    ...(options.priority !== undefined && { priority: options.priority }),
  }
}

const moneyUnits = ['usd', '$', 'dollar', 'dollars']
const factors: Readonly<Record<string, number>> = { '': 1, k: 1000, m: 1_000_000 }

/** `2usd`, `$2`, `50000tokens`, `50ktokens`, `10m`. */
function budgetOption(given: string, before: NonNullable<Spec['budget']> = {}): NonNullable<Spec['budget']> {
  const plain = given.trim().toLowerCase().replaceAll('_', '')
  const [, sign = '', number, factor = '', unit = ''] =
    /^(\$?)(\d+(?:\.\d+)?)\s*(k|m(?=tok))?(usd|\$|dollars?|tok|tokens?)?$/.exec(plain) ?? []
  const value = Number(number)
  if (value > 0 && (sign === '$' ? unit === '' || unit === 'usd' : moneyUnits.includes(unit)) && factor === '')
    return { ...before, usd: value }
  if (value > 0 && sign === '' && unit.startsWith('tok')) return { ...before, tokens: Math.round(value * (factors[factor] ?? 1)) }
  if (/^[\d.]+(ms|s|m|h|d)/.test(plain)) return { ...before, seconds: durationOption(plain) / 1000 }
  throw new RegentError('BAD_REQUEST', `'${given}' is no budget such as 2usd, 50000tokens or 10m`)
}

/** Commas within the brackets of a rule do not part it: `Bash(git log:*, git show:*),Read`. */
function toolsOption(given: string, before: readonly string[] = []): string[] {
  const found = given.match(/(?:[^,(]|\([^)]*\))+/g) ?? []
  return [...before, ...found.map((tool) => tool.trim()).filter((tool) => tool !== '')]
}

function wholeNumber(given: string): number {
  if (/^-?\d{1,3}$/.test(given)) return Number(given)
  throw new RegentError('BAD_REQUEST', `'${given}' is not a whole number`)
}
