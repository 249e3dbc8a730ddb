import type { Clock } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Value } from './codec.ts'
import { Fault } from './faults.ts'
import type { MainLog } from './main-log.ts'
import type { About } from './process-info.ts'
import type { Ask } from './programs.ts'
import type { Roster } from './roster.ts'
import type { Self } from './self.ts'

/** Opens a stream of the core in the caller's name. */
export type Open = (operation: string, input: object, signal?: AbortSignal) => AsyncIterable<object>

/** What a method works with. */
export interface Context {
  readonly ask: Ask
  readonly open: Open
  readonly about: About
  readonly roster: Roster
  readonly mainLog: MainLog
  readonly logger: Logger
  /** Epoch ms. */
  readonly now: Clock['now']
  readonly closing: () => boolean
  /** Regent itself, as a program. */
  readonly self: Self
  /** Called once this answer is out. */
  readonly answered: (act: () => void) => void
}

interface Types {
  readonly string: string
  readonly int: number
  readonly boolean: boolean
  readonly array: readonly Value[]
}
export type ParamType = keyof Types | `${keyof Types}?`
type ArgumentOf<T extends ParamType> = T extends `${infer N extends keyof Types}?`
  ? Types[N] | undefined
  : T extends keyof Types
    ? Types[T]
    : never
type ArgumentsOf<P extends readonly ParamType[]> = { readonly [I in keyof P]: ArgumentOf<P[I]> }

export interface Method {
  readonly help: string
  readonly returns: string
  /** A type with `?` may be left out, from the end. */
  readonly params: readonly ParamType[]
  /** Throws Fault INCORRECT_PARAMETERS before anything is done. */
  run(context: Context, args: readonly Value[]): Promise<Value>
}

export function method<const P extends readonly ParamType[]>(
  help: string,
  returns: string,
  params: P,
  work: (context: Context, ...args: ArgumentsOf<P>) => Value | Promise<Value>,
): Method {
  return {
    help,
    returns,
    params,
    async run(context, args) {
      return work(context, ...(checked(params, args) as unknown as ArgumentsOf<P>))
    },
  }
}

function checked(params: readonly ParamType[], args: readonly Value[]): readonly Value[] {
  const least = params.filter((type) => !type.endsWith('?')).length
  if (args.length < least || args.length > params.length)
    throw new Fault('INCORRECT_PARAMETERS', `it takes ${params.length === 0 ? 'none' : params.join(', ')}`)
  return args.map((value, at) => {
    const type = params[at]?.replace('?', '') ?? ''
    // Clients have always sent 0 and 1 for booleans.
    if (type === 'boolean' && (value === 0 || value === 1)) return value === 1
    const given = Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'int' : typeof value
    if (given !== type) throw new Fault('INCORRECT_PARAMETERS', `parameter ${at + 1} must be of type ${type}`)
    return value
  })
}
