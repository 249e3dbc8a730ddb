import type { Archive } from '../../src/ports/archive.ts'
import type { Calendar } from '../../src/ports/calendar.ts'
import type { ProbeOutcome, Prober } from '../../src/ports/prober.ts'
import type { Self, SelfUsage } from '../../src/ports/self.ts'

/** Answers probes as the test says, and counts them. */
export class FakeProber implements Prober {
  outcome: ProbeOutcome = { ok: true, message: 'well' }
  asked = 0

  async probe(): Promise<ProbeOutcome> {
    this.asked++
    return this.outcome
  }
}

/** Knows one expression: `every N`, in ms since the epoch. */
export class FakeCalendar implements Calendar {
  problem(cron: string): string | undefined {
    return /^every \d+$/.test(cron) ? undefined : 'is not a cron expression'
  }

  next(cron: string, _timezone: string, after: number): number {
    const step = Number(cron.slice('every '.length))
    return (Math.floor(after / step) + 1) * step
  }
}

export class FakeArchive implements Archive {
  readonly files: string[] = []

  async backup(file: string): Promise<number> {
    this.files.push(file)
    return 1
  }
}

export class FakeSelf implements Self {
  async usage(): Promise<SelfUsage> {
    return { startedAt: 1000, memoryBytes: 2 ** 26, heapBytes: 2 ** 25, cpuSeconds: 1.5, openFiles: 30, openFilesLimit: 1024, lag: null }
  }

  cpuSeconds(): number {
    return 1.5
  }

  async close(): Promise<void> {}
}
