import { readFileSync, statSync } from 'node:fs'
import type { Check } from '../../../contract/system.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { RunSpec } from '../../../ports/runtime.ts'
import { access, type Passage } from './access.ts'
import { programIn } from './programs.ts'

export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

export interface AccountOptions {
  /** `auto`, `same`, `per-owner`, or the name of an account. */
  readonly wanted: string
  /** What every agent must be able to read: Node, and Regent's own code. */
  readonly basics: readonly string[]
  readonly passage: Passage
  readonly logger: Logger
  /** The accounts of this machine, as /etc/passwd has them. */
  readonly passwd?: () => string
}

const AUTO = 'agentuser'

/** Under whose account agents run. Only root may choose; everybody else runs them as himself. */
export class Accounts {
  readonly #options: AccountOptions
  readonly #setpriv = programIn('setpriv')
  /** Why `auto` runs agents as root here; told once for each reason. */
  #refusals = new Set<string>()
  #known: { readonly text: string; readonly accounts: readonly Account[] } = { text: '', accounts: [] }

  constructor(options: AccountOptions) {
    this.#options = options
  }

  /** The account of a run, given what it needs to read and write; null: Regent's own. Throws START_FAILED with the remedy. */
  of(spec: RunSpec, home: string): Account | null {
    const { wanted, logger } = this.#options
    if (process.getuid?.() !== 0 || wanted === 'same' || spec.ownAccount) return null
    const name = wanted === 'per-owner' ? `regent-${spec.owner}` : wanted === 'auto' ? AUTO : wanted
    const problem = this.#problem(name)
    const account = problem === undefined ? this.#find(name) : undefined
    const blocked = problem ?? (account && access(account, this.#options.passage, { spec, home, basics: this.#options.basics }))
    if (blocked === undefined && account) return account
    if (wanted !== 'auto') throw new RegentError('START_FAILED', `the agent cannot run as ${name}: ${blocked}`, { hint: remedy(name) })
    if (blocked !== undefined && !this.#refusals.has(blocked)) {
      this.#refusals.add(blocked)
      logger.warn({ account: name, reason: blocked }, 'agents run as root')
    }
    return null
  }

  /** The programs that make a process the account's. */
  before({ uid, gid }: Account): string[] {
    return [this.#setpriv ?? 'setpriv', '--reuid', String(uid), '--regid', String(gid), '--clear-groups', '--no-new-privs', '--']
  }

  check(): Check {
    const named = { name: 'agent user', required: false }
    const { wanted } = this.#options
    if (process.getuid?.() !== 0) return { ...named, ok: true, message: 'agents run as the user of Regent, and can read all that it can' }
    if (wanted === 'same') return { ...named, ok: true, message: 'agents run as root, as the configuration says' }
    if (wanted === 'per-owner') return { ...named, ok: true, message: 'each owner’s agents run as regent-OWNER, which must exist' }
    const name = wanted === 'auto' ? AUTO : wanted
    const problem = this.#problem(name) ?? [...this.#refusals].at(-1)
    if (problem === undefined) return { ...named, ok: true, message: `agents run as ${name}` }
    const outcome = wanted === 'auto' ? 'agents run as root' : 'agents cannot be started'
    return { ...named, ok: false, message: `${outcome}: ${problem}; ${remedy(name)}` }
  }

  /** What is in the way of this account whatever the run. */
  #problem(name: string): string | undefined {
    if (this.#setpriv === undefined) return 'the program setpriv of util-linux was not found'
    const account = this.#find(name)
    if (!account) return `there is no account ${name}`
    if (account.uid === 0) return `${name} is root itself`
    const sharers = this.#all().filter((other) => other.gid === account.gid && other.name !== name)
    return sharers.length > 0 ? `${name} shares its group with ${sharers.map((other) => other.name).join(', ')}` : undefined
  }

  #find(name: string): Account | undefined {
    return this.#all().find((account) => account.name === name)
  }

  #all(): readonly Account[] {
    const text = (this.#options.passwd ?? passwdFile)()
    if (text === this.#known.text) return this.#known.accounts
    this.#known = { text, accounts: accountsIn(text) }
    return this.#known.accounts
  }
}

/** Read again when it was changed, which every tool does by a new file. */
function passwdFile(): string {
  const { mtimeMs, ino, size } = statSync(PASSWD)
  const version = `${mtimeMs} ${ino} ${size}`
  if (passwd.version !== version) passwd = { version, text: readFileSync(PASSWD, 'utf8') }
  return passwd.text
}

const PASSWD = '/etc/passwd'
let passwd = { version: '', text: '' }

function accountsIn(text: string): Account[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', , uid, gid] = line.split(':')
    return uid === undefined || gid === undefined ? [] : [{ name, uid: Number(uid), gid: Number(gid) }]
  })
}

const remedy = (name: string): string =>
  `create it with \`useradd --system --user-group --shell /usr/sbin/nologin ${name}\`, keep home and project where it can pass (not below /root), or set agents.user to same`
