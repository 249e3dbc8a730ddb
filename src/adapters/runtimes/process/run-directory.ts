import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { LinkInfo } from '../../../contract/link.ts'
import { systemCode } from '../../../kernel/errors.ts'
import { isObject, type JsonObject, tryParse } from '../../../kernel/json.ts'

/** Who a run's main process is, as its own process recorded it. `startTime` is in clock ticks since boot. */
export interface PidRecord {
  readonly pid: number
  readonly startTime: string
  readonly bootId: string
  readonly wrapperPid: number
  readonly pumpPid: number
  /** Epoch ms. */
  readonly at: number
}

/** What must be known of a run beside its records; written before it is claimed. */
export interface RunFacts {
  readonly agentId: string
  readonly label: string
  readonly reapOnExit: boolean
  /** The agent's own record, for `regent recover`. */
  readonly record: JsonObject
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
    mkdirSync(this.path, { recursive: true, mode: 0o700 })
    writeFileSync(this.file('run.json'), JSON.stringify(facts), { mode: 0o600 })
  }

  facts(): RunFacts | undefined {
    const value = tryParse(read(this.file('run.json'))?.text ?? '')
    if (!isObject(value) || typeof value.agentId !== 'string') return undefined
    return {
      agentId: value.agentId,
      label: String(value.label ?? ''),
      reapOnExit: value.reapOnExit === true,
      record: isObject(value.record) ? (value.record as JsonObject) : {},
    }
  }

  pid(): PidRecord | undefined {
    const record = read(this.file('pid'))
    const match = /^(\d+) (\S+) (\S+) (\d+) (\d+) *\n/.exec(record?.text ?? '')
    if (!match || !record) return undefined
    const [, pid = '', startTime = '', bootId = '', wrapperPid = '', pumpPid = ''] = match
    return { pid: Number(pid), startTime, bootId, wrapperPid: Number(wrapperPid), pumpPid: Number(pumpPid), at: record.at }
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

  /** Lasts, unless the directory itself is gone. */
  declareLost(reason: string): void {
    if (existsSync(this.path)) writeFileSync(this.file('lost'), `${reason}\n`, { mode: 0o600 })
  }

  offerLink(link: LinkInfo): void {
    writeFileSync(this.file('link.json.new'), JSON.stringify(link), { mode: 0o600 })
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
    for (const name of ['run.json', 'link.json', 'pid']) rmSync(this.file(name), { force: true })
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
    for (const name of ['run.json', 'link.json', 'pid', 'lost', 'pipe']) rmSync(this.file(name), { force: true })
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
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
