import { constants } from 'node:os'
import type { LinkInfo } from '../../../contract/link.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { ExecOutcome, Exit, Run, RunHandle, RunUsage, StopOutcome } from '../../../ports/runtime.ts'
import type { Enclosure } from './enclosure.ts'
import { execBeside } from './exec.ts'
import type { RunWatch } from './exits.ts'
import { handleOf } from './handle.ts'
import { bootId, isAlive, worksFor } from './identity.ts'
import { lastOutputAt } from './last-output.ts'
import type { ProcessTree } from './process-tree.ts'
import type { PidRecord, RunDirectory } from './run-directory.ts'
import { Stop } from './stop.ts'
import { nothing } from './usage.ts'

/** What a run needs of its runtime. */
export interface RunContext {
  readonly directory: RunDirectory
  /** Null for a run that was given up before its pid was known. */
  readonly record: PidRecord | null
  readonly enclosure: Enclosure
  readonly watch: RunWatch
  readonly tree: ProcessTree
  readonly clock: Pick<Clock, 'now' | 'elapsed' | 'sleep' | 'after'>
  readonly logger: Logger
  readonly reapOnExit: boolean
  /** Called once, when the end is known. */
  readonly ended: () => void
  /** Called after each stop. */
  readonly stopped: () => void
  readonly remove: () => Promise<void>
}

export class ProcessRun implements Run {
  readonly handle: RunHandle
  readonly exited: Promise<Exit>
  readonly #context: RunContext
  readonly #exit = Promise.withResolvers<Exit>()
  readonly #look = () => this.look()
  #known: Exit | undefined
  #stop: Stop | undefined

  constructor(context: RunContext) {
    this.#context = context
    this.handle = handleOf(context.directory.runId)
    this.exited = this.#exit.promise
    context.watch.add(context.directory.runId, this.#look, this.pid)
    this.look()
  }

  get pid(): number | null {
    return this.#context.record?.pid ?? null
  }

  get startedAt(): number {
    return this.#context.record?.at ?? this.#known?.at ?? this.#context.clock.now()
  }

  get finished(): boolean {
    return this.#known !== undefined
  }

  /** Reads the records and the kernel's table again; the end, once seen, is final. */
  look(): void {
    if (this.#known) return
    const exit = this.#judge()
    if (!exit) return
    this.#known = exit
    const { watch, directory, reapOnExit, ended } = this.#context
    this.#exit.resolve(exit)
    ended()
    watch.remove(directory.runId, this.#look)
    if (reapOnExit && !this.#stop) this.#reap()
  }

  /** What cannot be read now is looked at again with the next sweep; it never makes a run dead. */
  #judge(): Exit | undefined {
    const { directory, record, enclosure, logger, clock } = this.#context
    try {
      const exit = judge(directory, record, clock.now())
      return exit && enclosure.withMemory(exit, directory)
    } catch (error) {
      logger.warn({ runId: this.handle.runId, reason: reasonOf(error) }, 'the records of a run cannot be read')
      return undefined
    }
  }

  #reap(): void {
    this.stop({ signal: 'SIGKILL', graceMs: 0 }).catch((error) =>
      this.#context.logger.warn(
        { runId: this.handle.runId, reason: reasonOf(error) },
        'what a finished run left behind could not be ended',
      ),
    )
  }

  async offerLink(link: LinkInfo): Promise<void> {
    if (!this.#known) this.#context.directory.offerLink(link, this.#context.enclosure.kept.account)
  }

  async signal(name: NodeJS.Signals): Promise<boolean> {
    const { record } = this.#context
    if (this.#known || !record || !isAlive(record)) return false
    return this.#context.enclosure.signal(name)
  }

  /** Calls at the same time share one work; each may only make it harder. */
  async stop(options: { readonly signal: NodeJS.Signals; readonly graceMs: number }): Promise<StopOutcome> {
    if (this.#stop) this.#stop.harden(options)
    else {
      const { directory, record, tree, clock, enclosure } = this.#context
      const stop = new Stop({ directory, record, tree, clock, reach: enclosure.reach, look: this.#look, exited: this.exited }, options)
      this.#stop = stop
      void stop.survivors
        .finally(() => {
          this.#stop = undefined
          this.#context.stopped()
        })
        .catch(() => {})
    }
    const survivors = await this.#stop.survivors
    return { exit: await this.exited, survivors }
  }

  async usage(): Promise<RunUsage> {
    return this.#known ? nothing : this.#context.enclosure.usage()
  }

  lastOutputAt(): Promise<number | null> {
    return lastOutputAt(this.#context.directory.path)
  }

  async exec(argv: readonly string[], options: { readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<ExecOutcome> {
    const { enclosure, tree, clock } = this.#context
    if (this.#known) throw new RegentError('ILLEGAL_STATE', `run ${this.handle.runId} is over`, { hint: 'Start the agent first.' })
    return execBeside({ runId: this.handle.runId, enclosure, tree, clock }, argv, options)
  }

  async remove(): Promise<void> {
    if (!this.#known) throw new RegentError('ILLEGAL_STATE', `run ${this.handle.runId} is still alive`, { hint: 'Stop the run first.' })
    await this.#stop?.survivors
    await this.#context.remove()
  }
}

const signalNames = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
)

/** How the run ended, as far as it is on record; undefined while its main process lives or its wrapper has yet to write. */
function judge(directory: RunDirectory, record: PidRecord | null, now: number): Exit | undefined {
  if (record && isAlive(record)) return undefined
  const rebooted = record !== null && record.bootId !== bootId() ? ({ rebooted: true } as const) : {}
  const ended = endOf(directory, record)
  if (ended) return { ...ended, ...rebooted }
  if (record && record.bootId === bootId() && worksFor(record.wrapperPid, directory.path)) return undefined
  // The wrapper may have written between the two looks, and gone.
  return { ...(endOf(directory, record) ?? giveUp(directory, record, now)), ...rebooted }
}

function endOf(directory: RunDirectory, record: PidRecord | null): Exit | undefined {
  const lost = directory.lost()
  if (lost) return { kind: 'lost', reason: lost.reason, at: lost.at }
  const exit = directory.exitCode()
  if (!exit) return undefined
  const signal = exit.code > 128 ? signalNames.get(exit.code - 128) : undefined
  if (!record) {
    const how = signal === undefined ? `code ${exit.code}` : `${signal}${signal === 'SIGKILL' ? ' (is its memory limit too low?)' : ''}`
    return { kind: 'lost', reason: `its process ended with ${how} before it was put on record, so the agent was not started`, at: exit.at }
  }
  return signal === undefined ? { kind: 'exited', ...exit } : { kind: 'signalled', signal, ...exit }
}

function giveUp(directory: RunDirectory, record: PidRecord | null, now: number): Exit {
  const reason =
    record && record.bootId !== bootId() ? 'the machine was restarted' : 'it ended while its wrapper was gone, so the exit code is unknown'
  directory.declareLost(reason)
  return { kind: 'lost', reason, at: directory.lost()?.at ?? now }
}
