import { writeFile } from 'node:fs/promises'
import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf, systemCode } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import { read } from './cgroup.ts'
import type { RunGroups } from './kept.ts'
import { type Setting, settingsFor } from './run-groups.ts'

export interface DefaultCpusOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Undefined: no default. */
  readonly cpus: number | undefined
  /** Starts are under way. */
  readonly busy: () => boolean
}

const PAUSE_MS = 250
/** However busy it is. */
const LATEST_MS = 10_000

/**
 * Gives runs that name no limit of processors the configured one, a moment after their start and one after the other: the kernel takes
 * milliseconds for each, under one lock for all, and neither a start nor a restart is to wait for that.
 */
export class DefaultCpus {
  readonly #o: DefaultCpusOptions
  #queue: Setting[] = []
  #cancel: (() => void) | undefined
  #working = false

  constructor(options: DefaultCpusOptions) {
    this.#o = options
  }

  add(groups: RunGroups): void {
    const { cpus } = this.#o
    if (cpus === undefined || !groups.cpu) return
    this.#queue.push(...settingsFor({ cpu: groups.cpu }, { cpus }))
    if (!this.#working) this.#later(this.#o.clock.elapsed() + LATEST_MS)
    this.#working = true
  }

  close(): void {
    this.#cancel?.()
    this.#queue = []
  }

  #later(latest: number): void {
    this.#cancel = this.#o.clock.after(PAUSE_MS, () => {
      if (this.#o.busy() && this.#o.clock.elapsed() < latest) this.#later(latest)
      else void this.#work()
    })
  }

  async #work(): Promise<void> {
    for (let setting = this.#queue.shift(); setting; setting = this.#queue.shift()) await this.#set(setting)
    this.#working = false
  }

  async #set({ file, value }: Setting): Promise<void> {
    try {
      // What an agent was given by itself, or by a Regent before this one, stays.
      if (/^(-1|max )/.test(read(file) ?? '')) await writeFile(file, value, { flag: 'r+' })
    } catch (error) {
      const gone = systemCode(error) === 'ENOENT' || systemCode(error) === 'ENODEV'
      if (!gone) this.#o.logger.warn({ file, reason: reasonOf(error) }, 'the default limit of processors cannot be set for a run')
    }
  }
}
