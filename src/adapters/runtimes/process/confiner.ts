import { createHash } from 'node:crypto'
import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Check } from '../../../contract/system.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { RunSpec, Runtime } from '../../../ports/runtime.ts'
import { giveFile, homeOf, type Identity, type Passage } from './access.ts'
import { Accounts } from './accounts.ts'
import { removeCgroup, removeIfEmpty } from './cgroup.ts'
import { type Confinement, sessionBefore } from './confinement.ts'
import { levels, type RunGroups, type WantedLevel } from './kept.ts'
import { type Choice, chooseLevel } from './level-choice.ts'
import { onLinux } from './proc.ts'
import { type EndBy, entrancesOf, foldersIn, makeGroups, openPlaces, removeGroups, settingsFor, thisMachine } from './run-groups.ts'

export interface ConfinerOptions {
  /** The run directories; the groups of this home are named after them. */
  readonly dir: string
  readonly agentsDir: string
  readonly shell: string
  readonly logger: Logger
  readonly stopLevel?: WantedLevel
  /** How a cgroup is ended; `auto` by what costs a start least. */
  readonly endBy?: EndBy
  /** Whose account agents have; undefined: Regent's own. See `AccountOptions`. */
  readonly user?: string
  /** What every agent must be able to read. */
  readonly basics?: readonly string[]
  /** Folders of Regent in which agents that have an account of their own may be let through. */
  readonly passable?: readonly string[]
}

/** Finds out, once, what this machine lets Regent do around its runs. */
export async function openConfiner(options: ConfinerOptions): Promise<Confiner> {
  const name = `regent-${createHash('sha256').update(options.dir).digest('hex').slice(0, 12)}`
  const opened = onLinux ? openPlaces(name, thisMachine(), options.endBy) : { places: {}, missing: {} }
  const wanted = options.stopLevel ?? 'auto'
  const choice = await chooseLevel(options.shell, opened, wanted)
  if (wanted !== 'auto' && choice.level !== wanted)
    options.logger.warn(
      { wanted, level: choice.level, reason: choice.why[wanted] },
      'the stop level that is asked for is not to be had here; the next one is used',
    )
  return new Confiner(options, choice)
}

export class Confiner {
  readonly can: Pick<Runtime['can'], 'limits' | 'stopLevel'>
  readonly #options: ConfinerOptions
  readonly #choice: Choice
  readonly #accounts: Accounts
  readonly #passage: Passage
  /** Groups that could not be removed, because somebody was left in them. */
  #left: RunGroups[] = []

  constructor(options: ConfinerOptions, choice: Choice) {
    this.#options = options
    this.#choice = choice
    this.#passage = { roots: [...(options.passable ?? []), options.dir, options.agentsDir].map(real) }
    const { user: wanted = 'same', basics = [], logger } = options
    this.#accounts = new Accounts({ wanted, basics, passage: this.#passage, logger })
    const { memory, cpu, pids } = choice.places
    const limits = { memory_bytes: memory !== undefined, cpus: cpu !== undefined, pids: pids !== undefined, open_files: true }
    this.can = { limits, stopLevel: choice.level }
    this.#sweep()
  }

  readonly confine = (spec: RunSpec): Confinement => {
    const { level, namespace } = this.#choice
    const home = homeOf(this.#options.agentsDir, spec.agentId)
    const account = this.#accounts.of(spec, home)
    const groups = this.#makeGroups(spec)
    const inside = level === 'B'
    const homeless = spec.env.HOME === undefined || spec.env.HOME === homedir()
    return {
      settings: settingsFor(groups, spec.limits),
      enter: entrancesOf(groups),
      before: [...sessionBefore(), ...(inside ? namespace : []), ...(account ? this.#accounts.before(account) : [])],
      environment: inside || account ? 'after' : 'first',
      env: account && homeless ? { HOME: home } : {},
      kept: { level, groups, account: account && { uid: account.uid, gid: account.gid }, cwd: spec.cwd },
      release: () => this.release(groups),
    }
  }

  /** Lets the account of a run read one of its files. */
  admit(account: Identity, file: string): void {
    giveFile(account, this.#passage, file)
  }

  /** Removes groups as soon as nobody is left in them: now, or with those of a later run. */
  release(groups: RunGroups): void {
    this.#left = [...this.#left, groups]
      .filter((one) => foldersIn(one).length > 0)
      .filter((one) => {
        try {
          return !removeGroups(one)
        } catch (error) {
          this.#options.logger.warn({ groups: foldersIn(one).map(({ dir }) => dir), reason: reasonOf(error) }, 'a cgroup cannot be removed')
          return false
        }
      })
  }

  /** Leaves no folder of its own where no run is left. */
  close(): void {
    this.release({})
    for (const place of foldersIn(this.#choice.places)) removeIfEmpty(place)
  }

  checks(): Check[] {
    return [levelCheck(this.#choice), limitsCheck(this.#choice), this.#accounts.check()]
  }

  #makeGroups({ runId }: RunSpec): RunGroups {
    try {
      const { all, ...rest } = this.#choice.places
      return makeGroups(this.#choice.level === 'A' && all ? { all, ...rest } : rest, runId)
    } catch (error) {
      throw new RegentError('START_FAILED', `the cgroup of the run cannot be made: ${reasonOf(error)}`, {
        hint: 'Look at `regent doctor`: may Regent make cgroups? REGENT_STOP_LEVEL=C does without them for the end of a run.',
        cause: error,
      })
    }
  }

  /** What runs left that nothing is known of any more. */
  #sweep(): void {
    for (const place of foldersIn(this.#choice.places))
      try {
        for (const entry of readdirSync(place.dir, { withFileTypes: true }))
          if (entry.isDirectory() && !existsSync(join(this.#options.dir, entry.name)))
            removeCgroup({ version: place.version, dir: join(place.dir, entry.name) })
      } catch (error) {
        this.#options.logger.warn({ dir: place.dir, reason: reasonOf(error) }, 'cgroups of earlier runs cannot be removed')
      }
  }
}

const real = (path: string): string => (existsSync(path) ? realpathSync(path) : path)

const sure = {
  A: 'A (cgroup): a stop ends all that an agent started',
  B: 'B (pid namespace): a stop ends all that an agent started, and so does the end of its main process',
  C: 'C (marks): a child that left the session, its environment and its output behind survives a stop',
  D: 'D (process group): a child in a session of its own survives a stop',
} as const

function levelCheck({ level, why }: Choice): Check {
  const better = levels.slice(0, levels.indexOf(level)).flatMap((one) => (why[one] === undefined ? [] : [`not ${one}: ${why[one]}`]))
  return { name: 'stop level', ok: level === 'A' || level === 'B', message: [sure[level], ...better].join('; '), required: false }
}

const limitNames = { memory: 'memory', cpu: 'cpus', pids: 'pids' } as const

function limitsCheck({ places, why }: Choice): Check {
  const parts = ['memory', 'cpu', 'pids'] as const
  const missing = parts.filter((part) => places[part] === undefined)
  const held = [...parts.filter((part) => places[part] !== undefined).map((part) => limitNames[part]), 'open files']
  const reasons = [...new Set(missing.map((part) => why[part] ?? 'no cgroup can be made here'))]
  const message =
    missing.length === 0
      ? `enforced: ${held.join(', ')}`
      : `not enforced: ${missing.map((part) => limitNames[part]).join(', ')} (${reasons.join('; ')}); enforced: ${held.join(', ')}`
  return { name: 'limits', ok: missing.length === 0, message, required: false }
}
