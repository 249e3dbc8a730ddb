import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RegentError, reasonOf, systemCode } from '../../../kernel/errors.ts'
import { isUuid } from '../../../kernel/ids.ts'
import { isObject, tryParse } from '../../../kernel/json.ts'
import type { Secrets } from '../../../ports/secrets.ts'

type Values = Readonly<Record<string, string>>

const ENDING = '.json'

/** One file per agent, readable by its owner alone, in a folder of the same kind, whose parent is there. Only this process may write there. */
export async function createFileSecrets({ dir }: { readonly dir: string }): Promise<Secrets> {
  const secrets = new FileSecrets(dir)
  await secrets.load()
  return secrets
}

class FileSecrets implements Secrets {
  readonly #dir: string
  readonly #kept = new Map<string, Values>()
  readonly #damaged = new Set<string>()
  #all: ReadonlySet<string> | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor(dir: string) {
    this.#dir = dir
  }

  async load(): Promise<void> {
    await this.#guarded(async () => {
      await mkdir(this.#dir, { mode: 0o700 }).catch(unless('EEXIST'))
      const folder = await open(this.#dir, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
      await folder.chmod(0o700).finally(() => folder.close())
      for (const name of await readdir(this.#dir)) await this.#loadFile(name)
    })
  }

  put(agentId: string, values: Values): Promise<void> {
    return this.#inTurn(agentId, async (id) => {
      if (Object.keys(values).length === 0) return this.#forget(id)
      await this.#write(id, `${JSON.stringify(values, null, 2)}\n`)
      this.#keep(id, { ...values })
    })
  }

  /** Throws UNAVAILABLE when its file is damaged. */
  get(agentId: string): Promise<Values> {
    return this.#inTurn(agentId, async (id) => {
      if (this.#damaged.has(id)) {
        throw new RegentError('UNAVAILABLE', `the secrets of agent ${id} cannot be read: ${this.#pathOf(id)} is damaged`, {
          hint: 'Give the agent its secrets again: change its definition.',
        })
      }
      return { ...this.#kept.get(id) }
    })
  }

  remove(agentId: string): Promise<void> {
    return this.#inTurn(agentId, (id) => this.#forget(id))
  }

  values(): ReadonlySet<string> {
    this.#all ??= new Set([...this.#kept.values()].flatMap((values) => Object.values(values)).filter((value) => value !== ''))
    return this.#all
  }

  /** One after the other, so that what is kept and what is on disk stay the same. */
  #inTurn<T>(agentId: string, work: (id: string) => Promise<T>): Promise<T> {
    if (!isUuid(agentId)) return Promise.reject(new RegentError('INVALID', 'secrets are kept by the id of an agent, a UUID'))
    const done = this.#turn.then(() => this.#guarded(() => work(agentId.toLowerCase())))
    this.#turn = done.catch(() => {})
    return done
  }

  async #loadFile(name: string): Promise<void> {
    const id = name.slice(0, -ENDING.length)
    if (!name.endsWith(ENDING) || !isUuid(id)) {
      // The draft of a write that was cut off.
      if (name.endsWith('.new')) await rm(join(this.#dir, name), { force: true })
      return
    }
    const values = await this.#read(id)
    if (values) this.#keep(id, values)
    else this.#damaged.add(id)
  }

  /** undefined for what is not a private file of texts by key. */
  async #read(id: string): Promise<Values | undefined> {
    if (!(await lstat(this.#pathOf(id))).isFile()) return undefined
    const file = await open(this.#pathOf(id), constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      await file.chmod(0o600)
      const values = tryParse(await file.readFile('utf8'))
      return isObject(values) && Object.values(values).every((value) => typeof value === 'string') ? (values as Values) : undefined
    } finally {
      await file.close()
    }
  }

  async #write(id: string, text: string): Promise<void> {
    const draft = `${this.#pathOf(id)}.${randomBytes(6).toString('hex')}.new`
    let file: FileHandle | undefined
    try {
      file = await open(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
      await file.writeFile(text)
      await file.sync()
      await file.close()
      await rename(draft, this.#pathOf(id))
    } catch (error) {
      await file?.close().catch(() => {})
      await rm(draft, { force: true })
      throw error
    }
    await this.#flush()
  }

  async #forget(id: string): Promise<void> {
    if (!this.#kept.has(id) && !this.#damaged.has(id)) return
    await rm(this.#pathOf(id), { force: true })
    await this.#flush()
    this.#damaged.delete(id)
    this.#kept.delete(id)
    this.#all = undefined
  }

  #keep(id: string, values: Values): void {
    this.#damaged.delete(id)
    this.#kept.set(id, values)
    this.#all = undefined
  }

  #pathOf(id: string): string {
    return join(this.#dir, `${id}${ENDING}`)
  }

  /** Makes the folder's list of names durable. */
  async #flush(): Promise<void> {
    const folder = await open(this.#dir, 'r')
    await folder.sync().finally(() => folder.close())
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof RegentError) throw error
      const code = systemCode(error)
      if (code === 'ENOSPC' || code === 'EDQUOT') {
        throw new RegentError('NO_SPACE', `no space is left in ${this.#dir}`, { hint: 'Free some space there.', cause: error })
      }
      const where = code === 'ENOTDIR' || code === 'ELOOP' ? 'is not a folder, or a symbolic link' : `cannot be used: ${reasonOf(error)}`
      throw new RegentError('UNAVAILABLE', `the folder of the secrets, ${this.#dir}, ${where}`, {
        hint: 'See that it is a folder of the user that Regent runs as, and writable.',
        cause: error,
      })
    }
  }
}

function unless(code: string): (error: unknown) => void {
  return (error) => {
    if (systemCode(error) !== code) throw error
  }
}
