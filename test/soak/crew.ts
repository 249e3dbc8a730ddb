import { setTimeout as pause } from 'node:timers/promises'
import type { Dice } from './dice.ts'
import { agentOf, type Kind } from './kinds.ts'
import type { Answer, Server } from './server.ts'

/** One agent's place: agents come and go in it. */
export interface Slot {
  readonly name: string
  readonly kind: Kind
  /** Of the agent that is there now. */
  id: string | undefined
  wanted: 'running' | 'stopped' | 'gone'
  /** ms of Regent's working time at which the last command was accepted, and what it was. */
  since: number
  last: string
  /** A command is on its way. */
  busy: boolean
}

const ACCEPT_MS = 30_000

/** Sends the commands. Each has a key and is sent until it is answered, however often Regent dies meanwhile. */
export class Crew {
  readonly slots: Slot[]
  /** Every agent there ever was. */
  readonly known = new Set<string>()
  readonly messages: string[] = []
  readonly complaints: string[] = []
  commands = 0
  repeats = 0
  readonly #server: Server
  readonly #dice: Dice
  readonly #mains: string
  readonly #workingMs: () => number
  readonly #under = new Set<Promise<void>>()
  #key = 0

  constructor(server: Server, dice: Dice, kinds: readonly Kind[], mains: string, workingMs: () => number) {
    this.#server = server
    this.#dice = dice
    this.#mains = mains
    this.#workingMs = workingMs
    this.slots = kinds.map((kind, at) => ({ name: `${kind}-${at}`, kind, id: undefined, wanted: 'gone', since: 0, last: '', busy: false }))
  }

  /** Every agent created and started. */
  async muster(): Promise<void> {
    for (const slot of this.slots) this.#send(slot, () => this.#create(slot))
    await this.settle()
  }

  /** A random command for an agent that has none on its way. */
  command(): void {
    const slot = this.#dice.pick(this.slots.filter((one) => !one.busy))
    if (!slot) return
    const roll = this.#dice.next()
    if (slot.id === undefined) this.#send(slot, () => this.#create(slot))
    else if (slot.kind === 'team') this.#send(slot, () => this.#verb(slot, roll < 0.5 ? 'restart' : 'start'))
    else if (roll < 0.35) this.#send(slot, () => this.#verb(slot, 'restart'))
    else if (roll < 0.6) this.#send(slot, () => this.#verb(slot, 'stop'))
    else if (roll < 0.9) this.#send(slot, () => this.#verb(slot, 'start'))
    else this.#send(slot, () => this.#remove(slot))
  }

  /** To the team; its id makes it the same message however often it is sent. */
  message(): void {
    const team = this.slots.find((slot) => slot.kind === 'team' && slot.id !== undefined)
    if (!team) return
    const id = uuidOf(this.#dice)
    const work = this.#accepted(`message ${id}`, 'POST', `/api/v1/agents/${team.id}/messages`, { id, content: `hello ${id}` }).then(
      (answer) => {
        if (answer) this.messages.push(id)
      },
    )
    this.#keep(work)
  }

  /** Ends and removes all of them. */
  async dismiss(): Promise<void> {
    for (const slot of this.slots) if (slot.id !== undefined) this.#send(slot, () => this.#remove(slot))
    await this.settle()
  }

  /** Until no command is on its way. */
  async settle(): Promise<void> {
    while (this.#under.size > 0) await Promise.all(this.#under)
  }

  #send(slot: Slot, work: () => Promise<void>): void {
    slot.busy = true
    this.#keep(
      work().finally(() => {
        slot.busy = false
      }),
    )
  }

  #keep(work: Promise<void>): void {
    const kept: Promise<void> = work
      .catch((error: unknown) => void this.complaints.push(`the soak itself failed: ${error instanceof Error ? error.stack : error}`))
      .finally(() => this.#under.delete(kept))
    this.#under.add(kept)
  }

  async #create(slot: Slot): Promise<void> {
    const body = { agent: agentOf(slot.name, slot.kind, this.#mains), start: true }
    const answer = await this.#accepted(`create ${slot.name}`, 'POST', '/api/v1/agents', body)
    if (!answer) return
    slot.id = String(answer.body.id)
    this.known.add(slot.id)
    this.#note(slot, 'running', 'create')
  }

  async #verb(slot: Slot, verb: 'start' | 'stop' | 'restart'): Promise<void> {
    const answer = await this.#accepted(`${verb} ${slot.name}`, 'POST', `/api/v1/agents/${slot.id}/${verb}`)
    if (answer) this.#note(slot, verb === 'stop' ? 'stopped' : 'running', verb)
  }

  async #remove(slot: Slot): Promise<void> {
    const answer = await this.#accepted(`delete ${slot.name}`, 'DELETE', `/api/v1/agents/${slot.id}`, undefined, [404])
    if (!answer) return
    this.#note(slot, 'gone', 'delete')
    // A name is free once its agent is gone; the invariants watch how long that takes.
    for (;;) {
      const look = await this.#try('GET', `/api/v1/agents/${slot.id}`)
      if (look?.status === 404) break
      if (this.#workingMs() - slot.since > ACCEPT_MS * 2) return
      await pause(100)
    }
    slot.id = undefined
  }

  #note(slot: Slot, wanted: Slot['wanted'], last: string): void {
    slot.wanted = wanted
    slot.last = last
    slot.since = this.#workingMs()
  }

  /** The answer that accepts it; undefined, with a complaint, when none came in time. Now and then it is sent twice at once. */
  async #accepted(what: string, method: string, path: string, body?: object, also: readonly number[] = []): Promise<Answer | undefined> {
    this.commands++
    const key = `soak-${++this.#key}`
    const twice = this.#dice.chance(0.1)
    const until = this.#workingMs() + ACCEPT_MS
    let heard = 'no answer'
    while (this.#workingMs() < until) {
      const answers = await Promise.all(Array.from({ length: twice ? 2 : 1 }, () => this.#try(method, path, body, key)))
      for (const answer of answers) {
        if (answer) heard = `${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`
        if (answer && (answer.status < 300 || also.includes(answer.status))) return answer
        if (answer && answer.status < 500 && answer.status !== 429) {
          this.complaints.push(`${what} (${key}) was refused: ${heard}`)
          return undefined
        }
      }
      this.repeats++
      await pause(100)
    }
    this.complaints.push(`${what} (${key}) was not accepted within ${ACCEPT_MS / 1000} s: ${heard}`)
    return undefined
  }

  async #try(method: string, path: string, body?: object, key?: string): Promise<Answer | undefined> {
    try {
      return await this.#server.call(method, path, body, key)
    } catch {
      // Regent was killed, or is frozen: the same command is sent again.
      return undefined
    }
  }
}

function uuidOf(dice: Dice): string {
  const digits = Array.from({ length: 32 }, () => dice.int(16).toString(16))
  digits[12] = '4'
  digits[16] = '8'
  const text = digits.join('')
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20)}`
}
