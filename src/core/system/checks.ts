import type { Check } from '../../contract/system.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Bus } from '../../ports/bus.ts'
import type { Runtime } from '../../ports/runtime.ts'
import type { Store } from '../../ports/store.ts'

export interface ChecksOptions {
  readonly store: Store
  readonly runtime: Runtime
  readonly bus: Bus
  /** Of the brokers beside Regent's own bus, and of the outbox; from what is known. */
  readonly watched?: () => { readonly own: string; readonly checks: readonly Check[] }
  /** Checks of what the core does not see, such as the disk and the keys of models. */
  readonly moreChecks: () => Promise<readonly Check[]>
  readonly clock: Clock
  readonly logger: Logger
}

/** A part that takes longer is told as one that does not answer. */
const PATIENCE_MS = 1000

interface Source {
  readonly name: string
  readonly required: boolean
  readonly look: () => Promise<readonly Check[]>
  /** The look that is under way: a part that hangs is not asked again until it answers. */
  pending: Promise<readonly Check[]> | undefined
  since: number
}

type Part = Parameters<Parameters<Runtime['onPart']>[0]>[0]

/** How the parts are that Regent stands on. No part holds up the answer about the others. */
export class Checks {
  readonly #o: ChecksOptions
  readonly #sources: readonly Source[]
  /** Parts of the runtime that were told as lost. */
  readonly #lost = new Map<string, Part>()

  constructor(options: ChecksOptions) {
    this.#o = options
    const { store, runtime, bus, moreChecks, watched } = options
    const source = (name: string, required: boolean, look: Source['look']): Source => ({
      name,
      required,
      look,
      pending: undefined,
      since: 0,
    })
    const part = (name: string, message: string | (() => string), check: () => Promise<void>): Source =>
      source(name, true, async () => {
        await check()
        return [{ name, ok: true, message: typeof message === 'string' ? message : message(), required: true }]
      })
    const busWords = () => {
      const more = watched?.().own ?? ''
      return more === '' ? `${bus.kind} bus` : `${bus.kind} bus: ${more}`
    }
    this.#sources = [
      part('store', `${store.kind}${store.place === undefined ? '' : ` at ${store.place}`} answers`, () => store.check()),
      part('runtime', `${runtime.kind} runs, stop level ${runtime.can.stopLevel}`, () => runtime.check()),
      part('bus', busWords, () => bus.check()),
      ...(watched ? [source('brokers', false, async () => watched().checks)] : []),
      source('runtime parts', false, () => runtime.checks()),
      source('machine', false, moreChecks),
    ]
  }

  /** From now on parts of the runtime that are lost and come back are remembered and told. */
  begin(): void {
    this.#o.runtime.onPart((part) => this.#told(part))
  }

  /** Within `PATIENCE_MS`, whatever hangs. Never rejects. */
  async read(): Promise<Check[]> {
    const read = (await Promise.all(this.#sources.map((source) => this.#ask(source)))).flat()
    const known = new Set(read.map(({ name }) => name))
    const lost = [...this.#lost.values()].map(({ name, message }): Check => ({ name, message, ok: false, required: false }))
    return [...read.map((check) => lost.find(({ name }) => name === check.name) ?? check), ...lost.filter(({ name }) => !known.has(name))]
  }

  async #ask(source: Source): Promise<readonly Check[]> {
    const { clock } = this.#o
    const failed = (message: string): Check[] => [{ name: source.name, ok: false, message, required: source.required }]
    if (!source.pending) {
      source.since = clock.elapsed()
      // Within `then`, so that a look which throws is a failed look.
      source.pending = Promise.resolve()
        .then(source.look)
        .catch((error: unknown) => failed(reasonOf(error)))
        .finally(() => {
          source.pending = undefined
        })
    }
    let cancel = () => {}
    const late = new Promise<Check[]>((resolve) => {
      const told = () => resolve(failed(`has not answered for ${Math.round((clock.elapsed() - source.since) / 1000)} s`))
      cancel = clock.after(PATIENCE_MS, told)
    })
    const checks = await Promise.race([source.pending, late])
    cancel()
    return checks
  }

  #told(part: Part): void {
    const { store, clock, logger } = this.#o
    if (part.ok === !this.#lost.has(part.name)) return
    if (part.ok) this.#lost.delete(part.name)
    else this.#lost.set(part.name, part)
    const type = part.ok ? 'runtime.part_restored' : 'runtime.part_lost'
    logger[part.ok ? 'info' : 'error']({ part: part.name }, part.message)
    const event = { type, at: clock.now(), actor: 'regent', data: { part: part.name, message: part.message } } as const
    const nobody = { agentId: null, agent: null, owner: null }
    store
      .transaction((tables) => tables.events.append({ ...event, ...nobody }))
      .catch((error: unknown) => logger.error({ part: part.name, error: reasonOf(error) }, `${type} was not told`))
  }
}
