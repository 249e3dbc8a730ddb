import { createHmac } from 'node:crypto'
import { referenced } from '../../contract/secret-reference.ts'
import { hashedUuid } from '../../kernel/ids.ts'
import type { Secrets } from '../../ports/secrets.ts'
import type { Store } from '../../ports/store.ts'
import { hide } from '../agents/hidden.ts'

type Variables = Readonly<Record<string, string>>

/** Variables as they are put on record: references in the place of secrets, and where those are kept. */
export interface Kept {
  readonly env: Variables
  readonly secretsId: string | null
}

/** Keeps the secrets among workers' variables, once for all workers of an owner that have the same. */
export class WorkerSecrets {
  readonly #secrets: Secrets
  readonly #store: Store
  readonly #key: Buffer
  /** Uses that are not on record yet. */
  readonly #held = new Map<string, number>()

  constructor({ secrets, store, homeKey }: { readonly secrets: Secrets; readonly store: Store; readonly homeKey: Buffer }) {
    this.#secrets = secrets
    this.#store = store
    this.#key = homeKey
  }

  /** Keeps them while `work` puts who uses them on record; what nobody uses then is forgotten. */
  async keeping<T>(owner: string, given: Variables, work: (kept: Kept) => Promise<T>): Promise<T> {
    const { definition, secrets } = hide({ env: { ...given } })
    const env = definition.env as Variables
    if (Object.keys(secrets).length === 0) return work({ env, secretsId: null })
    const secretsId = this.#idOf(owner, secrets)
    this.#held.set(secretsId, (this.#held.get(secretsId) ?? 0) + 1)
    try {
      if (Object.keys(await this.#secrets.get(secretsId)).length === 0) await this.#secrets.put(secretsId, secrets)
      return await work({ env, secretsId })
    } finally {
      const left = (this.#held.get(secretsId) ?? 1) - 1
      if (left > 0) this.#held.set(secretsId, left)
      else this.#held.delete(secretsId)
      await this.release(secretsId)
    }
  }

  /** Forgets what no worker uses any more. */
  async release(secretsId: string | null): Promise<void> {
    if (secretsId === null || this.#held.has(secretsId)) return
    if (!(await this.#store.read.workers.usesSecrets(secretsId)) && !this.#held.has(secretsId)) await this.#secrets.remove(secretsId)
  }

  /** The variables with what they refer to. */
  async resolved({ env, secretsId }: Kept): Promise<Record<string, string>> {
    const values = secretsId === null ? {} : await this.#secrets.get(secretsId)
    return Object.fromEntries(
      Object.entries(env).map(([name, value]) => {
        const key = referenced(value)
        return [name, key === undefined ? value : (values[key] ?? '')]
      }),
    )
  }

  /** By a key of this home, so that it tells nothing of what is kept. */
  #idOf(owner: string, secrets: Variables): string {
    const text = JSON.stringify([owner, Object.entries(secrets).sort(([one], [other]) => (one < other ? -1 : 1))])
    const hex = createHmac('sha256', this.#key).update(`worker secrets:${text}`).digest('hex')
    return hashedUuid(hex, '8')
  }
}

/** Those of a worker that is on record. */
export const keptOf = ({ spec, secretsId }: { readonly spec: { readonly env: Variables }; readonly secretsId: string | null }): Kept => ({
  env: spec.env,
  secretsId,
})
