import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, readlink, realpath, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { RegentError, reasonOf, systemCode } from '../../../kernel/errors.ts'

/** A file that is written but not in its place yet. */
export interface Staged {
  place(): Promise<void>
  /** Harmless after it was placed. */
  discard(): Promise<void>
}

/**
 * Folders and files below a root that belongs to a person: no link is followed out of it, nothing is written through one, and a
 * file is there whole or not at all. Paths are given as names from the root, none of which may lead elsewhere.
 */
export class SafeTree {
  readonly root: string

  /** `root` is a real path. */
  constructor(root: string) {
    this.root = root
  }

  pathOf(...names: readonly string[]): string {
    for (const name of names) {
      if (name === '' || name === '.' || name === '..' || /[/\\\0]/.test(name))
        throw new RegentError('INVALID', 'this is not the name of a file')
    }
    return join(this.root, ...names)
  }

  /** Makes the folders that are missing, for this user alone. */
  async makeFolder(...names: readonly string[]): Promise<string> {
    const path = this.pathOf(...names)
    for (let depth = 1; depth <= names.length; depth += 1) {
      const folder = this.pathOf(...names.slice(0, depth))
      await this.#guarded(folder, async () => {
        await mkdir(folder, { mode: 0o700 }).catch(unless('EEXIST'))
        if (!(await lstat(folder)).isDirectory()) throw refused(folder, 'is not a folder')
      })
    }
    await this.#checkInside(path)
    return path
  }

  /** False when a folder on the way is missing or is not a real one. */
  async hasFolder(...names: readonly string[]): Promise<boolean> {
    const path = this.pathOf(...names)
    try {
      return (await realpath(path)) === path && (await lstat(path)).isDirectory()
    } catch {
      // Out of reach is as good as not there.
      return false
    }
  }

  async isFile(...names: readonly string[]): Promise<boolean> {
    if (!(await this.hasFolder(...names.slice(0, -1)))) return false
    const stats = await lstat(this.pathOf(...names)).catch(unless('ENOENT'))
    return stats?.isFile() === true
  }

  /** Writes a private file beside its place. The folder must have been made. */
  async stage(text: string, ...names: readonly string[]): Promise<Staged> {
    const path = this.pathOf(...names)
    const draft = `${path}.${randomBytes(6).toString('hex')}.new`
    const discard = () => rm(draft, { force: true })
    await this.#guarded(path, async () => {
      let file: FileHandle | undefined
      try {
        file = await open(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
        await file.writeFile(text)
        await file.sync()
      } catch (error) {
        await discard()
        throw error
      } finally {
        await file?.close()
      }
    })
    return {
      place: () => this.#guarded(path, () => rename(draft, path)),
      discard: () => this.#guarded(path, discard),
    }
  }

  /** None there is success. Nothing is removed through a link. */
  async remove(...names: readonly string[]): Promise<void> {
    const path = this.pathOf(...names)
    if (await this.hasFolder(...names.slice(0, -1))) await this.#guarded(path, () => rm(path, { force: true }))
  }

  /** Puts a link there, in place of one that leads elsewhere; a real file or folder stays. */
  async link(target: string, ...names: readonly string[]): Promise<void> {
    const path = this.pathOf(...names)
    await this.makeFolder(...names.slice(0, -1))
    await this.#guarded(path, async () => {
      const found = await lstat(path).catch(unless('ENOENT'))
      if (found && (!found.isSymbolicLink() || (await readlink(path)) === target)) return
      const draft = `${path}.${randomBytes(6).toString('hex')}.new`
      await symlink(target, draft)
      await rename(draft, path)
    })
  }

  /** An open file at the end of which can be written; made when it is not there. Never a link, a pipe or a device. */
  async openLog(...names: readonly string[]): Promise<FileHandle> {
    const path = this.pathOf(...names)
    await this.makeFolder(...names.slice(0, -1))
    return this.#guarded(path, async () => {
      const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK
      const file = await open(path, flags, 0o600)
      if ((await file.stat()).isFile()) return file
      await file.close()
      throw refused(path, 'is not a regular file')
    })
  }

  async #checkInside(path: string): Promise<void> {
    const real = await this.#guarded(path, () => realpath(path))
    if (real !== path) throw refused(path, `leads to ${real}`)
  }

  async #guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw explain(path, error)
    }
  }
}

function unless(code: string): (error: unknown) => undefined {
  return (error) => {
    if (systemCode(error) !== code) throw error
  }
}

function explain(path: string, error: unknown): RegentError {
  if (error instanceof RegentError) return error
  switch (systemCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new RegentError('NO_SPACE', `no space is left for ${path}`, { hint: 'Free some space there.', cause: error })
    case 'ELOOP':
      return refused(path, 'is a symbolic link')
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new RegentError('UNAVAILABLE', `${path} cannot be written`, {
        hint: 'See that the project belongs to the user that Regent runs as, or name another one with --project.',
        cause: error,
      })
    default:
      return new RegentError('UNAVAILABLE', `${path} cannot be used: ${reasonOf(error)}`, { cause: error })
  }
}

function refused(path: string, problem: string): RegentError {
  return new RegentError('FORBIDDEN', `${path} ${problem}`, { hint: 'Regent follows no links inside a project: move it away.' })
}
