import type { OutputItem, WorkerView } from '../../../contract/workers.ts'
import type { Cli } from '../cli.ts'
import { timeOf } from '../output/text.ts'
import { Connection } from './connection.ts'
import { shortId } from './views.ts'

/** How long the end of its output may be ahead of its own end. */
const SETTLE_MS = 5000

/**
 * Prints what a worker says and does in its present or last turn until that has ended, over restarts of Regent: each item once.
 * Answers how it is then; undefined after Ctrl-C.
 */
export async function followWorker(
  cli: Cli,
  ref: string,
  print: (item: OutputItem) => void,
  connection = new Connection(cli),
): Promise<WorkerView | undefined> {
  const { id } = await connection.call('workers.get', { worker: ref })
  const reading = new Reading(print)
  while (!cli.signal.aborted) {
    try {
      const client = await connection.client()
      for await (const item of client.open('workers.follow', { worker: id, ...reading.ask() }, { signal: cli.signal })) {
        connection.works()
        reading.take(item)
      }
      if (cli.signal.aborted) return undefined
      const worker = await stateAfter(connection, id)
      if (!['queued', 'running', 'limited'].includes(worker.state)) return worker
      if (worker.state === 'running') continue
      tellPause(cli, worker)
      reading.restart()
    } catch (error) {
      if (cli.signal.aborted) return undefined
      await connection.lost(error).catch((fatal: unknown) => {
        if (!cli.signal.aborted) throw fatal
      })
    }
  }
  return undefined
}

/** Counts what was printed of one run, since a second reading begins at its start. */
class Reading {
  readonly #print: (item: OutputItem) => void
  #turn: number | undefined
  #printed = 0
  #read = 0

  constructor(print: (item: OutputItem) => void) {
    this.#print = print
  }

  ask(): { turn?: number } {
    this.#read = 0
    return this.#turn === undefined ? {} : { turn: this.#turn }
  }

  take(item: OutputItem): void {
    this.#turn = item.turn
    this.#read++
    if (this.#read <= this.#printed) return
    this.#printed = this.#read
    this.#print(item)
  }

  /** What follows is another run. */
  restart(): void {
    this.#turn = undefined
    this.#printed = 0
  }
}

async function stateAfter(connection: Connection, id: string): Promise<WorkerView> {
  const now = await connection.call('workers.get', { worker: id })
  if (now.state !== 'running') return now
  await connection.call('workers.wait', { workers: [id], mode: 'all', claim: 'no', wait: true, timeout: SETTLE_MS })
  return connection.call('workers.get', { worker: id })
}

function tellPause(cli: Cli, worker: WorkerView): void {
  const when = worker.retry_at === null ? '' : `; goes on at ${timeOf(worker.retry_at)}`
  cli.note(`${shortId(worker.id)}  ${worker.state}: ${worker.reason}${when}`)
}
