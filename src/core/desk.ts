import type { Clock } from '../kernel/clock.ts'
import { RegentError } from '../kernel/errors.ts'
import type { Json, JsonObject } from '../kernel/json.ts'
import type { Store, Tables } from '../ports/store.ts'
import { fingerprint } from './agents/definitions.ts'

/** One command of a caller that may send it again. */
export interface Repeatable {
  readonly who: string
  /** At most 200 characters. */
  readonly key: string
  readonly input: Json
}

/** What was done, and the positions that are kept with it. */
export interface Done {
  readonly answer: Json
  readonly cursors?: Readonly<Record<string, number>>
}

export interface Refusal {
  readonly agentId: string | null
  /** `owner/name`. */
  readonly agent: string | null
  readonly owner: string | null
  readonly actor: string
  readonly data: JsonObject
}

/** What doors at brokers need beside `call`: no connection of a caller waits for what they do. */
export interface Desk {
  /**
   * Does a command once: whoever sends it again gets the answer that was given. A crash while it is done has it done again, so `work` must
   * bear that. What it throws is not kept. Throws INVALID when the key was used for another command.
   */
  once(command: Repeatable, work: () => Promise<Done>): Promise<Json>
  /** Tells in the journal that a command was refused. */
  refused(refusal: Refusal): Promise<void>
  /** Committed rows, of every owner. */
  readonly read: Pick<Tables, 'agents' | 'lives' | 'events' | 'messages' | 'cursors'>
}

export interface DeskOptions {
  readonly store: Store
  readonly clock: Clock
}

export function createDesk({ store, clock }: DeskOptions): Desk {
  return {
    async once({ who, key, input }, work) {
      const inputHash = fingerprint(input)
      const known = await store.read.commands.get(who, key)
      if (known && known.inputHash !== inputHash)
        throw new RegentError('INVALID', 'this message id was used for another command', { hint: 'use a new id for each command' })
      if (known) return known.answer
      const { answer, cursors = {} } = await work()
      await store.transaction(async (tables) => {
        if (await tables.commands.get(who, key)) return
        await tables.commands.insert({ caller: who, key, operation: 'desk', inputHash, answer, at: clock.now() })
        for (const [name, value] of Object.entries(cursors)) await tables.cursors.set(name, value)
      })
      return answer
    },
    async refused(refusal) {
      await store.transaction((tables) => tables.events.append({ ...refusal, at: clock.now(), type: 'command.refused' }))
    },
    read: store.read,
  }
}
