import type { OutputItem, WorkerView } from '../../../contract/workers.ts'
import type { Cli } from '../cli.ts'
import { EXIT, isInterrupt } from '../failure.ts'
import { type Format, printValue } from '../output/format.ts'
import { clean, cleanLines } from '../output/text.ts'
import { withProgress } from '../progress.ts'
import { Connection } from './connection.ts'
import { followWorker } from './follow.ts'
import { Transcript } from './said.ts'
import { headline, isOpen, shortId } from './views.ts'
import { tellingApprovals, waitForWorkers } from './waiting.ts'

export interface OutcomeOptions {
  readonly follow?: boolean
  readonly wait?: boolean
}

/** After a worker was given something to do: tells so, or follows it, or waits for its result. */
export async function tellGiven(cli: Cli, worker: WorkerView, format: Format, { follow, wait }: OutcomeOptions): Promise<void> {
  if (follow) return followAndTell(cli, worker.id, format, true)
  if (wait) return waitAndTell(cli, worker, format)
  if (format === 'json' || format === 'yaml') return printValue(cli.terminal, format, worker)
  if (format === 'name') return cli.terminal.out(worker.id)
  cli.terminal.out(headline(worker, cli.terminal.paint))
  const id = shortId(worker.id)
  cli.next(`regent peek -f ${id}`, `regent wait ${id}`, `regent cancel ${id}`)
}

async function waitAndTell(cli: Cli, worker: WorkerView, format: Format): Promise<void> {
  const waiting = waitForWorkers(cli, { workers: [worker.id], mode: 'all' })
  const { workers } = await stayingAlive(cli, [worker.id], withProgress(cli, `waiting for ${shortId(worker.id)}`, waiting))
  const ended = workers[0] ?? worker
  if (format === 'json' || format === 'yaml') await printValue(cli.terminal, format, ended)
  else if (format === 'name') cli.terminal.out(ended.id)
  else if (ended.result) cli.terminal.out(cleanLines(ended.result).trimEnd())
  if (format === 'table') tellEnd(cli, ended)
  setExitCode(cli, [ended])
}

/** `claims`: who follows what they started need not be told of its end again. */
export async function followAndTell(cli: Cli, ref: string, format: Format, claims: boolean): Promise<void> {
  const transcript = new Transcript(cli)
  const isJson = format === 'json'
  const print = (item: OutputItem) => (isJson ? cli.terminal.out(JSON.stringify(item)) : transcript.print(item))
  const connection = new Connection(cli)
  const ended = await tellingApprovals(cli, ref, followWorker(cli, ref, print, connection))
  if (!ended) return tellAlive(cli, [ref])
  if (claims) await waitForWorkers(cli, { workers: [ended.id], mode: 'all' }, connection)
  if (isJson) cli.terminal.out(JSON.stringify({ kind: 'ended', worker: ended }))
  else {
    transcript.result(ended.result)
    tellEnd(cli, ended)
  }
  setExitCode(cli, [ended])
}

/** How it ended, beside its answer: on stderr, with what to do next. */
export function tellEnd(cli: Cli, worker: WorkerView): void {
  const { terminal } = cli
  const hint =
    worker.error_hint === null || worker.state !== 'failed' ? '' : `\n${terminal.paintErr('dim', `hint: ${clean(worker.error_hint)}`)}`
  cli.note(headline(worker, terminal.paintErr) + hint)
  const id = shortId(worker.id)
  if (worker.branch !== null) cli.note(`branch ${clean(worker.branch)} in ${clean(worker.cwd ?? '')}`)
  if (worker.session_id !== null) cli.next(`regent resume ${id} 'PROMPT'`)
  else if (worker.state === 'failed') cli.next(`regent worker output ${id} --stderr`)
}

/** 1 where one that has ended did not complete. */
export function setExitCode(cli: Cli, workers: readonly WorkerView[]): void {
  if (workers.some((worker) => !isOpen(worker) && worker.state !== 'completed')) cli.exitCode = EXIT.failed
}

/** Ctrl-C ends the command and no worker; people should know. */
export async function stayingAlive<T>(cli: Cli, ids: readonly string[], work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (isInterrupt(error)) tellAlive(cli, ids)
    throw error
  }
}

function tellAlive(cli: Cli, ids: readonly string[]): void {
  const [only = '', ...others] = ids
  const id = only.length === 36 ? shortId(only) : only
  if (id === '' || others.length > 0) cli.note('the workers go on; see: regent workers')
  else cli.note(`worker ${id} goes on; look with: regent peek -f ${id}, end it with: regent cancel ${id}`)
}
