import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import type { LinkInfo } from '../../../contract/link.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { ExecOutcome, Exit, Run, RunHandle, RunUsage, StopOutcome } from '../../../ports/runtime.ts'
import type { RunWatch } from './exits.ts'
import { handleOf } from './handle.ts'
import { bootId, isAlive, signalExactly, worksFor } from './identity.ts'
import { onLinux } from './proc.ts'
import type { ProcessTree } from './process-tree.ts'
import type { PidRecord, RunDirectory } from './run-directory.ts'
import { Stop } from './stop.ts'
import { usageOf } from './usage.ts'

/** What a run needs of its runtime. */
export interface RunContext {
  readonly directory: RunDirectory
  /** Null for a run that was given up before its pid was known. */
  readonly record: PidRecord | null
  readonly watch: RunWatch
  readonly tree: ProcessTree
  readonly clock: { now(): number; elapsed(): number; sleep(ms: number): Promise<void> }
  readonly logger: Logger
  readonly reapOnExit: boolean
  /** Called once, when the end is known. */
  readonly ended: () => void
  readonly remove: () => void
}

export class ProcessRun implements Run {
  readonly handle: RunHandle
  readonly exited: Promise<Exit>
  readonly #context: RunContext
  readonly #exit = Promise.withResolvers<Exit>()
  readonly #look = () => this.look()
  #known: Exit | undefined
  #stop: Stop | undefined
  #pumpMissed = false

  constructor(context: RunContext) {
    this.#context = context
    this.handle = handleOf(context.directory.runId)
    this.exited = this.#exit.promise
    context.watch.add(context.directory.runId, this.#look)
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
    if (!exit) {
      this.#watchPump()
      return
    }
    this.#known = exit
    const { watch, directory, reapOnExit, ended } = this.#context
    this.#exit.resolve(exit)
    ended()
    watch.remove(directory.runId, this.#look)
    watch.forget(directory.runId)
    if (reapOnExit && !this.#stop) this.#reap()
  }

  /** What cannot be read now is looked at again with the next sweep; it never makes a run dead. */
  #judge(): Exit | undefined {
    const { directory, record, logger, clock } = this.#context
    try {
      return judge(directory, record, clock.now())
    } catch (error) {
      logger.warn({ runId: this.handle.runId, reason: reasonOf(error) }, 'the records of a run cannot be read')
      return undefined
    }
  }

  /** The wrapper keeps the pump's input open, so a pump that is gone before it was killed. */
  #watchPump(): void {
    const { record, directory, logger } = this.#context
    if (!record || this.#pumpMissed || !onLinux || existsSync(`/proc/${record.pumpPid}`)) return
    if (!worksFor(record.wrapperPid, directory.path)) return
    this.#pumpMissed = true
    logger.warn(
      { runId: directory.runId, pumpPid: record.pumpPid },
      'the log pump of a run was killed: nothing it prints is kept, and it may die by SIGPIPE; restart it',
    )
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
    if (!this.#known) this.#context.directory.offerLink(link)
  }

  async signal(name: NodeJS.Signals): Promise<boolean> {
    const { record } = this.#context
    if (this.#known || !record || !isAlive(record)) return false
    return signalExactly(record, name)
  }

  /** Calls at the same time share one work; each may only make it harder. */
  async stop(options: { readonly signal: NodeJS.Signals; readonly graceMs: number }): Promise<StopOutcome> {
    if (this.#stop) this.#stop.harden(options)
    else {
      const { directory, record, tree, clock } = this.#context
      const stop = new Stop({ directory, record, tree, clock, look: this.#look, exited: this.exited }, options)
      this.#stop = stop
      void stop.survivors
        .finally(() => {
          this.#stop = undefined
        })
        .catch(() => {})
    }
    const survivors = await this.#stop.survivors
    return { exit: await this.exited, survivors }
  }

  async usage(): Promise<RunUsage> {
    const { record, tree } = this.#context
    if (this.#known || !record) return { memoryBytes: null, cpuSeconds: null, processes: null, openFiles: null }
    return usageOf(await tree.stats(), record)
  }

  exec(): Promise<ExecOutcome> {
    return Promise.reject(new RegentError('NOT_YET', 'a program beside an agent is not there yet'))
  }

  async remove(): Promise<void> {
    if (!this.#known) throw new RegentError('ILLEGAL_STATE', `run ${this.handle.runId} is still alive`, { hint: 'Stop the run first.' })
    await this.#stop?.survivors
    this.#context.remove()
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
  const ended = endOf(directory, record)
  if (ended) return ended
  if (record && record.bootId === bootId() && worksFor(record.wrapperPid, directory.path)) return undefined
  // The wrapper may have written between the two looks, and gone.
  return endOf(directory, record) ?? giveUp(directory, record, now)
}

function endOf(directory: RunDirectory, record: PidRecord | null): Exit | undefined {
  const lost = directory.lost()
  if (lost) return { kind: 'lost', reason: lost.reason, at: lost.at }
  const exit = directory.exitCode()
  if (!exit) return undefined
  if (!record) return { kind: 'lost', reason: 'its process could not be put on record, so the agent was not started', at: exit.at }
  const signal = exit.code > 128 ? signalNames.get(exit.code - 128) : undefined
  return signal === undefined ? { kind: 'exited', ...exit } : { kind: 'signalled', signal, ...exit }
}

function giveUp(directory: RunDirectory, record: PidRecord | null, now: number): Exit {
  const reason =
    record && record.bootId !== bootId() ? 'the machine was restarted' : 'it ended while its wrapper was gone, so the exit code is unknown'
  directory.declareLost(reason)
  return { kind: 'lost', reason, at: directory.lost()?.at ?? now }
}
