import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { LinkInfo } from '../../../contract/link.ts'
import { systemCode } from '../../../kernel/errors.ts'
import { isObject, type JsonObject, tryParse } from '../../../kernel/json.ts'
import { worksFor } from './identity.ts'
import type { Kept, PidRecord } from './kept.ts'
import { readProcLink } from './proc.ts'

export type { PidRecord } from './kept.ts'

/** What must be known of a run beside its records; written before it is claimed. */
export interface RunFacts {
  readonly agentId: string
  /** Its place in the order of its agent's runs; missing in what older versions left, which made that place at once. */
  readonly number?: number | undefined
  readonly label: string
  readonly reapOnExit: boolean
  /** The agent's own record, for `regent recover`. */
  readonly record: JsonObject
  readonly kept?: Kept | undefined
}

/**
 * The files of one run. `exit` and `pid` belong to the wrapper, `lost` and `run.json` to Regent; each record is
 * read as absent while it is blank or half written.
 */
export class RunDirectory {
  readonly runId: string
  readonly path: string

  constructor(path: string) {
    this.runId = basename(path)
    this.path = path
  }

  file(name: string): string {
    return join(this.path, name)
  }

  /** Somebody has taken this run: it may start, run, or have ended, and nobody else will start it. */
  claimed(): boolean {
    return existsSync(this.file('exit'))
  }

  prepare(facts: RunFacts): void {
    this.#make()
    writeFileSync(this.file('run.json'), JSON.stringify(facts), { mode: 0o600 })
  }

  /** Without a look at the folders above, which are there but for a mishap. */
  #make(): void {
    try {
      mkdirSync(this.path, { mode: 0o700 })
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') mkdirSync(this.path, { recursive: true, mode: 0o700 })
    }
  }

  facts(): RunFacts | undefined {
    const value = tryParse(read(this.file('run.json'))?.text ?? '')
    if (!isObject(value) || typeof value.agentId !== 'string') return undefined
    return {
      agentId: value.agentId,
      number: typeof value.number === 'number' ? value.number : undefined,
      label: String(value.label ?? ''),
      reapOnExit: value.reapOnExit === true,
      record: isObject(value.record) ? (value.record as JsonObject) : {},
      kept: keptIn(value.kept, this.runId),
    }
  }

  pid(): PidRecord | undefined {
    const record = read(this.file('pid'))
    const match = /^(\d+) (\S+) (\S+) (\d+) *\n/.exec(record?.text ?? '')
    if (!match || !record) return undefined
    const [, pid = '', startTime = '', bootId = '', wrapperPid = ''] = match
    return { pid: Number(pid), startTime, bootId, wrapperPid: Number(wrapperPid), at: record.at }
  }

  /** The code that the wrapper recorded. */
  exitCode(): { readonly code: number; readonly at: number } | undefined {
    const record = read(this.file('exit'))
    const match = /^(\d+) *\n/.exec(record?.text ?? '')
    return match && record ? { code: Number(match[1]), at: record.at } : undefined
  }

  /** Why Regent gave the run up; lasts, and goes before every other record. */
  lost(): { readonly reason: string; readonly at: number } | undefined {
    const record = read(this.file('lost'))
    return record && { reason: record.text.trim() || 'lost', at: record.at }
  }

  /** A process of it was killed at its memory limit, in bytes; null where that is not known. Undefined when none was. */
  outOfMemory(): { readonly limit: number | null } | undefined {
    const record = read(this.file('oom'))
    return record && { limit: Number(record.text) || null }
  }

  /** Lasts, unless the directory itself is gone. */
  declareOutOfMemory(limit: number | null): void {
    if (existsSync(this.path)) writeFileSync(this.file('oom'), `${limit ?? ''}\n`, { mode: 0o600 })
  }

  /** Lasts, unless the directory itself is gone. */
  declareLost(reason: string): void {
    if (existsSync(this.path)) writeFileSync(this.file('lost'), `${reason}\n`, { mode: 0o600 })
  }

  /** For the runner, which may have an account of its own. */
  offerLink(link: LinkInfo, account: Kept['account'] = null): void {
    writeFileSync(this.file('link.json.new'), JSON.stringify(link), { mode: 0o600 })
    if (account) {
      chownSync(this.file('link.json.new'), process.getuid?.() ?? 0, account.gid)
      chmodSync(this.file('link.json.new'), 0o640)
    }
    renameSync(this.file('link.json.new'), this.file('link.json'))
  }

  /**
   * Leaves nothing of a run that nothing was started for. False when a wrapper has claimed it, unless `refused` says that this
   * wrapper gave up. Opens no file, because there may be no descriptor left.
   */
  discard(refused: boolean): boolean {
    try {
      mkdirSync(this.file('exit'))
    } catch (error) {
      if (systemCode(error) === 'EEXIST' && !refused) return false
    }
    for (const name of ['run.json', 'link.json', 'pid', 'out', 'err', 'go']) rmSync(this.file(name), { force: true })
    try {
      rmdirSync(this.file('exit'))
      rmdirSync(this.path)
    } catch {
      this.remove()
    }
    return true
  }

  /** All that is known of a finished run but how it ended and what it printed. */
  forgetRecords(): void {
    for (const name of ['link.json', 'pid', 'lost', 'oom', 'out', 'err', 'go', 'run.json']) rmSync(this.file(name), { force: true })
  }

  /** Nobody can print to it any more and all of its output is in the log. */
  outputEnded(): boolean {
    return existsSync(this.file('output.end'))
  }

  /** The names of the pipes that it prints to, while anybody may: as the wrapper holds them, or as the pump noted when that left. */
  outputPipes(record: PidRecord | null): readonly string[] {
    if (this.outputEnded()) return []
    const held =
      record && worksFor(record.wrapperPid, this.path) ? [4, 6].map((file) => readProcLink(`/proc/${record.wrapperPid}/fd/${file}`)) : []
    const names = held.some((name) => name !== undefined) ? held : (read(this.file('output.held'))?.text.split('\n') ?? [])
    return names.filter((name) => name?.startsWith('pipe:')) as string[]
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

/** Groups that are named after another run are none of this one. */
function keptIn(value: unknown, runId: string): Kept | undefined {
  if (!isObject(value) || !isObject(value.groups)) return undefined
  const kept = value as unknown as Kept
  return Object.values(kept.groups).every(({ dir }) => basename(dir) === runId) ? kept : undefined
}

function read(path: string): { text: string; at: number } | undefined {
  try {
    const text = readFileSync(path, 'utf8')
    return { text, at: Math.floor(statSync(path).mtimeMs) }
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}
