import { isObject, tryParse } from '../../../kernel/json.ts'
import type { DeadLetter, Incoming } from '../../../ports/bus.ts'
import type { Connection } from './connection.ts'
import { fieldsOf, keyOf } from './messages.ts'
import { listOf } from './replies.ts'

/** The stream of dead letters; it keeps about so many, the newest. */
const DEAD = 'regent:dead'
const MOST_DEAD = 10_000
const PAGE = 200

/** The dead letters of every topic, in one stream. */
export class Graveyard {
  readonly #main: Connection

  constructor(main: Connection) {
    this.#main = main
  }

  async bury(message: Incoming, group: string | null, reason: string, at: number): Promise<void> {
    const fields = ['id', message.id, 'topic', keyOf(message.topic), 'group', group ?? '', 'reason', reason, 'at', String(at)]
    const body = JSON.stringify(message)
    await this.#main.send(DEAD, ['XADD', DEAD, 'MAXLEN', '~', String(MOST_DEAD), '*', ...fields, 'message', body])
  }

  /** The newest, in the order in which they died. */
  async newest(key: string | undefined, limit: number): Promise<DeadLetter[]> {
    const found: DeadLetter[] = []
    for (let end = '+'; found.length < limit; ) {
      const page = listOf(await this.#main.send(DEAD, ['XREVRANGE', DEAD, end, '-', 'COUNT', String(PAGE)]))
      for (const one of page.map(letterOf))
        if (one && (key === undefined || one.key === key) && found.length < limit) found.push(one.letter)
      if (page.length < PAGE) break
      end = `(${listOf(page.at(-1))[0]}`
    }
    return found.reverse()
  }

  /** Puts it on its stream once more, for its group alone. */
  async requeue(id: string): Promise<boolean> {
    const found = await this.#find(id)
    if (!found) return false
    const { key, letter } = found
    const only = letter.group === null ? [] : ['onlyFor', letter.group]
    await this.#main.send(key, ['XADD', key, '*', ...fieldsOf(letter.message), ...only])
    await this.drop(id)
    return true
  }

  async drop(id: string): Promise<boolean> {
    return isEntryId(id) && (await this.#main.send(DEAD, ['XDEL', DEAD, id])) === 1
  }

  async #find(id: string): Promise<Buried | undefined> {
    if (!isEntryId(id)) return undefined
    const [raw] = listOf(await this.#main.send(DEAD, ['XRANGE', DEAD, id, id]))
    return letterOf(raw)
  }
}

interface Buried {
  readonly key: string
  readonly letter: DeadLetter
}

const isEntryId = (id: string) => /^\d{1,20}-\d{1,20}$/.test(id)

function letterOf(raw: unknown): Buried | undefined {
  const [id, list] = listOf(raw)
  if (typeof id !== 'string') return undefined
  const fields = new Map<string, string>()
  const flat = listOf(list).map(String)
  for (let at = 0; at + 1 < flat.length; at += 2) fields.set(flat[at] ?? '', flat[at + 1] ?? '')
  const key = fields.get('topic') ?? ''
  const message = tryParse(fields.get('message') ?? '')
  // A stranger's entry.
  if (!isObject(message) || !isObject(message.topic) || typeof message.body !== 'string') return undefined
  const group = fields.get('group')
  const letter = {
    id,
    message: message as unknown as Incoming,
    group: group === undefined || group === '' ? null : group,
    reason: fields.get('reason') ?? '',
    at: Number(fields.get('at')),
  }
  return { key, letter }
}
