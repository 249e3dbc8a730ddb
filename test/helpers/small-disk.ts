import { execFileSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { temporaryFolder } from './folder.ts'

/** Only root may mount. */
export const mayMount = process.getuid?.() === 0 && process.platform === 'linux'
export const mountReason = 'needs root, to mount a small disk'

export interface SmallDisk {
  readonly path: string
  /** Takes up what is free, to the last byte. */
  fill(): void
  /** Gives it back. */
  empty(): void
}

/** A disk of `mib` MiB, mounted until the test ends. To be made before whatever lives on it. */
export function smallDisk(mib: number): SmallDisk {
  const path = temporaryFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m,mode=0700`, 'regent-test', path])
  onTestFinished(() => void execFileSync('umount', ['-l', path]))
  const filler = join(path, 'filler')
  return {
    path,
    fill() {
      const file = openSync(filler, 'a', 0o600)
      const take = (size: number) => {
        try {
          while (writeSync(file, Buffer.alloc(size)) > 0);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        }
      }
      for (const size of [1 << 16, 4096, 1]) take(size)
      closeSync(file)
    },
    empty: () => rmSync(filler, { force: true }),
  }
}
