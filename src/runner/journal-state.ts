import type { OutBody, OutRow } from '../contract/link.ts'
import { Unspoken } from './channel-rows.ts'

/** A message that an agent took in. */
export interface Incoming {
  readonly id: string
  readonly conversation: string
  readonly sender: string
  readonly content: string
  readonly metadata: Readonly<Record<string, unknown>>
}

/** A message in the journal until its work has ended. `memo`: what of that work is finished, by step. */
export interface Held {
  readonly message: Incoming
  tries: number
  readonly memo: Map<string, unknown>
}

export interface SpokenTurn {
  readonly role: 'user' | 'assistant'
  readonly text: string
}
/** Grows at its end as long as it is the same object. */
export interface History {
  /** What came before `turns`, condensed. */
  readonly summary: string
  readonly turns: readonly SpokenTurn[]
  /** How often the user has spoken in all, what is condensed included. */
  readonly spoken?: number
}

export type PendingApproval = Extract<OutBody, { kind: 'approval_requested' }>['approval']
export interface ClosedApproval {
  readonly confirmed: boolean
  readonly by: string
}

/** What is appended; one line of the file is a list of these that holds as a whole or not at all. */
export type Entry =
  | { readonly e: 'in'; readonly message: Incoming }
  | { readonly e: 'try'; readonly id: string; readonly tries: number }
  | { readonly e: 'memo'; readonly id: string; readonly key: string; readonly value: unknown }
  | { readonly e: 'end'; readonly id: string }
  | { readonly e: 'out'; readonly row: OutRow }
  | { readonly e: 'history'; readonly conversation: string; readonly history: History }
  | { readonly e: 'turns'; readonly conversation: string; readonly turns: readonly SpokenTurn[] }
  | { readonly e: 'confirmed'; readonly cursor: number }
  | { readonly e: 'renumbered'; readonly base: number }
  | { readonly e: 'finished'; readonly ids: readonly string[] }
  | { readonly e: 'closed'; readonly id: string; readonly approval: ClosedApproval }
  | { readonly e: 'pending'; readonly approval: PendingApproval }
  | { readonly e: 'numbers'; readonly seq: number; readonly cursor: number }
  | { readonly e: 'initial'; readonly id: string }
  | { readonly e: 'spoken'; readonly seq: number | null }
  | { readonly e: 'unspoken'; readonly row: OutRow }

/** Ids of messages whose work has ended: what a broker may bring once more must be among them. About 3 MB. */
const FINISHED_KEPT = 20_000
const CLOSED_KEPT = 500
const CONVERSATIONS_KEPT = 100

interface Growing extends History {
  readonly turns: SpokenTurn[]
  spoken: number
}

/** What the journal says now. Changed by `apply` alone, so that reading the file again gives the same. */
export class JournalState {
  /** In order of arrival. */
  readonly inbox = new Map<string, Held>()
  readonly #conversations = new Map<string, Growing>()
  readonly pending = new Map<string, PendingApproval>()
  /** Newest last, bounded. */
  readonly closed = new Map<string, ClosedApproval>()
  readonly finished = new Set<string>()
  /** Rows that Regent has not confirmed, in order. */
  out: OutRow[] = []
  seq = 0
  cursor = 0
  /** What is still to be said on the agent's own channel; keeps nothing while the agent has none. */
  readonly unspoken = new Unspoken()
  /** The last initial task that was taken in. */
  initial: string | undefined
  /** Characters of all in `inbox`. */
  #inboxChars = 0

  get conversations(): ReadonlyMap<string, History> {
    return this.#conversations
  }

  get inboxChars(): number {
    return this.#inboxChars
  }

  /** Whether a message with this id was ever taken in, as far back as is kept. */
  knows(id: string): boolean {
    return this.inbox.has(id) || this.finished.has(id) || this.initial === id
  }

  apply(entry: Entry): void {
    switch (entry.e) {
      case 'in':
        this.#inboxChars += entry.message.content.length - this.#charsOf(entry.message.id)
        this.inbox.set(entry.message.id, { message: entry.message, tries: 0, memo: new Map() })
        break
      case 'try':
        this.#held(entry.id, (held) => {
          held.tries = entry.tries
        })
        break
      case 'memo':
        this.#held(entry.id, (held) => held.memo.set(entry.key, entry.value))
        break
      case 'end':
        this.#inboxChars -= this.#charsOf(entry.id)
        this.inbox.delete(entry.id)
        this.#finish([entry.id])
        break
      case 'turns': {
        const growing = this.#conversations.get(entry.conversation) ?? { summary: '', turns: [], spoken: 0 }
        growing.turns.push(...entry.turns)
        growing.spoken += asked(entry.turns)
        this.#remember(entry.conversation, growing)
        break
      }
      case 'history': {
        const spoken = entry.history.spoken ?? spokenIn(this.conversations.get(entry.conversation))
        this.#remember(entry.conversation, { ...entry.history, turns: [...entry.history.turns], spoken })
        break
      }
      default:
        this.#applyOutgoing(entry)
    }
  }

  #applyOutgoing(entry: Exclude<Entry, { e: 'in' | 'try' | 'memo' | 'end' | 'turns' | 'history' }>): void {
    switch (entry.e) {
      case 'out':
        this.#send(entry.row)
        break
      case 'confirmed':
        this.#confirm(entry.cursor)
        break
      case 'renumbered':
        this.#renumber(entry.base)
        break
      case 'numbers':
        this.seq = entry.seq
        this.cursor = entry.cursor
        break
      case 'pending':
        this.pending.set(entry.approval.id, entry.approval)
        break
      case 'closed':
        this.#close(entry.id, entry.approval)
        break
      case 'finished':
        this.#finish(entry.ids)
        break
      case 'initial':
        this.initial = entry.id
        break
      case 'spoken':
        this.unspoken.spoken(entry.seq)
        break
      case 'unspoken':
        this.unspoken.add(entry.row)
    }
  }

  /** The shortest list of entries that leads to this state. */
  snapshot(): Entry[] {
    const held = [...this.inbox.values()]
    return [
      { e: 'finished', ids: [...this.finished] },
      ...[...this.conversations].map(([conversation, history]): Entry => ({ e: 'history', conversation, history })),
      ...[...this.closed].map(([id, approval]): Entry => ({ e: 'closed', id, approval })),
      ...[...this.pending.values()].map((approval): Entry => ({ e: 'pending', approval })),
      ...held.flatMap(({ message, tries, memo }): Entry[] => [
        { e: 'in', message },
        { e: 'try', id: message.id, tries },
        ...[...memo].map(([key, value]): Entry => ({ e: 'memo', id: message.id, key, value })),
      ]),
      { e: 'numbers', seq: this.seq, cursor: this.cursor },
      { e: 'spoken', seq: this.unspoken.position },
      ...this.unspoken.upTo(this.cursor).map((row): Entry => ({ e: 'unspoken', row })),
      ...this.out.map((row): Entry => ({ e: 'out', row })),
      ...(this.initial === undefined ? [] : [{ e: 'initial', id: this.initial } as const]),
    ]
  }

  #held(id: string, change: (held: Held) => unknown): void {
    const held = this.inbox.get(id)
    if (held) change(held)
  }

  #charsOf(id: string): number {
    return this.inbox.get(id)?.message.content.length ?? 0
  }

  #finish(ids: readonly string[]): void {
    for (const id of ids) this.finished.add(id)
    trim(this.finished, FINISHED_KEPT)
  }

  #remember(conversation: string, history: Growing): void {
    this.#conversations.delete(conversation)
    this.#conversations.set(conversation, history)
    trim(this.#conversations, CONVERSATIONS_KEPT)
  }

  #send(row: OutRow): void {
    this.seq = Math.max(this.seq, row.seq)
    if (row.seq > this.cursor) this.out.push(row)
    this.unspoken.add(row)
    if (row.body.kind === 'approval_requested') this.pending.set(row.body.approval.id, row.body.approval)
    if (row.body.kind === 'approval_closed') this.#close(row.body.id, { confirmed: row.body.confirmed, by: row.body.by })
  }

  #close(id: string, approval: ClosedApproval): void {
    this.pending.delete(id)
    this.closed.set(id, approval)
    trim(this.closed, CLOSED_KEPT)
  }

  #confirm(cursor: number): void {
    this.cursor = Math.max(this.cursor, cursor)
    const first = this.out.findIndex((row) => row.seq > this.cursor)
    this.out = first === -1 ? [] : this.out.slice(first)
  }

  /** Regent has seen more rows than this journal knows of: an older journal was lost, so its numbers are spent. */
  #renumber(base: number): void {
    const anew = new Map(this.out.map((row, index) => [row, { ...row, seq: base + index + 1 }]))
    this.out = [...anew.values()]
    this.cursor = base
    this.seq = base + this.out.length
    this.unspoken.renumber(anew, this.seq)
  }
}

/** How often the user has spoken in a conversation. */
export const spokenIn = (history: History | undefined): number => history?.spoken ?? asked(history?.turns ?? [])

const asked = (turns: readonly SpokenTurn[]): number => turns.filter(({ role }) => role === 'user').length

function trim(kept: Set<string> | Map<string, unknown>, limit: number): void {
  for (const oldest of kept.keys()) {
    if (kept.size <= limit) return
    kept.delete(oldest)
  }
}
