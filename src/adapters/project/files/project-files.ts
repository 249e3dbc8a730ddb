import { existsSync, mkdirSync, realpathSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { userName } from '../../../contract/names.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError, reasonOf, systemCode } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { Project } from '../../../ports/project.ts'
import type { Secrets } from '../../../ports/secrets.ts'
import type { AgentRow } from '../../../ports/store.ts'
import { fillTemplate, valuesOf } from './agent-template.ts'
import { type Launch, launchCommand, launchTeam } from './launch.ts'
import { SafeTree, type Staged } from './safe-tree.ts'
import { agentOfIni, supervisorIni } from './supervisor-ini.ts'
import { UserLogFiles } from './user-log.ts'

const TEMPLATE = 'agent_script_template.mjs'

export interface ProjectFilesOptions {
  readonly root: string
  /** Where this Regent's package is: what agent files import `regent/runner` from. */
  readonly regentRoot: string
  readonly nodePath: string
  /** A person's own template, in place of the project's and Regent's. */
  readonly template?: string
  readonly baseEnv: Readonly<Record<string, string>>
  readonly teamEnv: Readonly<Record<string, string>>
  readonly secrets: Secrets
  readonly stateDir: (agentId: string) => string
  readonly logger: Logger
  readonly clock: Clock
  /** Bounds of each user's log. */
  readonly logs?: { readonly maxBytes: number; readonly keep: number }
}

/** Throws UNAVAILABLE when the project's folder cannot be made or found. */
export function createProjectFiles(options: ProjectFilesOptions): Project {
  return new ProjectFiles(options)
}

class ProjectFiles implements Project {
  readonly root: string
  readonly #options: ProjectFilesOptions
  readonly #tree: SafeTree
  readonly #logs: UserLogFiles

  constructor(options: ProjectFilesOptions) {
    this.#options = options
    this.root = realRoot(resolve(options.root))
    this.#tree = new SafeTree(this.root)
    const { clock, logger, logs } = options
    this.#logs = new UserLogFiles({ tree: this.#tree, clock, logger, ...logs })
  }

  async write(agent: AgentRow): Promise<string | null> {
    if (agent.kind !== 'team') return null
    const { program, ini } = placesOf(agent)
    const text = fillTemplate(await this.#template(), valuesOf(agent.name, agent.definition))
    const section = this.#iniOf(agent)
    await this.#linkRunner()
    const staged: Staged[] = []
    try {
      for (const [content, place] of [
        [text, program],
        [section, ini],
      ] as const) {
        await this.#tree.makeFolder(...place.slice(0, -1))
        staged.push(await this.#tree.stage(content, ...place))
      }
      for (const file of staged) await file.place()
    } catch (error) {
      for (const file of staged) await file.discard()
      throw error
    }
    return this.#tree.pathOf(...program)
  }

  async remove(agent: AgentRow): Promise<void> {
    const { program, ini } = placesOf(agent)
    await rm(this.#options.stateDir(agent.id), { recursive: true, force: true })
    if (await this.#isAnothers(agent, ini)) return
    await this.#tree.remove(...program)
    await this.#tree.remove(...ini)
  }

  async launch(agent: AgentRow, run: { readonly runId: string; readonly start: number }): Promise<Launch> {
    const { baseEnv, teamEnv, stateDir, logger } = this.#options
    const secrets = await this.#options.secrets.get(agent.id)
    const context = { root: this.root, baseEnv, run, secrets }
    if (agent.kind === 'command') {
      const { launch, missing } = launchCommand(agent, context)
      if (missing.length > 0) logger.warn({ agent: agent.id, missing }, 'secrets are missing; empty variables stand in their place')
      return launch
    }
    if (agent.kind !== 'team') throw new RegentError('NOT_YET', `agents of kind ${agent.kind} cannot be started yet`)
    await this.check(agent)
    await this.#linkRunner()
    return launchTeam(agent, { ...context, teamEnv, argv: this.#argvOf(agent), stateDir: stateDir(agent.id) })
  }

  async check(agent: AgentRow): Promise<void> {
    if (agent.kind !== 'team') return
    const { program } = placesOf(agent)
    if (!(await this.#tree.isFile(...program))) throw noProgram(agent, this.#tree.pathOf(...program))
  }

  async restore(agent: AgentRow): Promise<void> {
    if (agent.kind === 'team' && !(await this.#tree.isFile(...placesOf(agent).program))) await this.write(agent)
  }

  log(agent: Pick<AgentRow, 'owner' | 'name'>, line: string, at?: number): void {
    if (isName(agent.owner) && isName(agent.name)) this.#logs.append(agent.owner, agent.name, line, at)
  }

  close(): Promise<void> {
    return this.#logs.close()
  }

  #argvOf(agent: AgentRow): string[] {
    return [this.#options.nodePath, '--max-semi-space-size=2', this.#tree.pathOf(...placesOf(agent).program)]
  }

  #iniOf(agent: AgentRow): string {
    return supervisorIni({
      agentId: agent.id,
      owner: agent.owner,
      name: agent.name,
      argv: this.#argvOf(agent),
      directory: this.root,
      logFile: this.#tree.pathOf('agents', agent.owner, 'agents', `${agent.name}_logs.log`),
      user: osUser(),
    })
  }

  /** The first that is there of: the one that was named, the project's, Regent's. */
  async #template(): Promise<string> {
    const { template, regentRoot } = this.#options
    const places = template === undefined ? [join(this.root, TEMPLATE), join(regentRoot, 'templates', TEMPLATE)] : [template]
    for (const path of places) {
      try {
        return await readFile(path, 'utf8')
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') {
          throw new RegentError('UNAVAILABLE', `the template cannot be read: ${path}: ${reasonOf(error)}`, { cause: error })
        }
      }
    }
    throw new RegentError('NOT_FOUND', `there is no template for agent files: ${places.at(-1)}`, {
      hint: 'Name another with --template, or install Regent again.',
      details: { what: 'template' },
    })
  }

  /** So that `import 'regent/runner'` finds this Regent, also when a person runs the file by hand. */
  #linkRunner(): Promise<void> {
    return this.#tree.link(this.#options.regentRoot, 'agents', 'node_modules', 'regent')
  }

  /** Whether the files at these places were written for an agent that took over the name. */
  async #isAnothers(agent: AgentRow, ini: readonly string[]): Promise<boolean> {
    if (!(await this.#tree.isFile(...ini))) return false
    const owner = agentOfIni(await readFile(this.#tree.pathOf(...ini), 'utf8'))
    return owner !== undefined && owner !== agent.id
  }
}

function placesOf({ owner, name }: AgentRow): { program: readonly string[]; ini: readonly string[] } {
  if (!isName(owner) || !isName(name)) throw new RegentError('INVALID', 'the name of the agent or of its owner cannot be that of a file')
  return { program: ['agents', owner, 'agents', `${name}_agent.mjs`], ini: ['agents', owner, 'supervisor', `${name}.ini`] }
}

const isName = (name: string): boolean => userName.safeParse(name).success

function realRoot(root: string): string {
  try {
    makeFolders(root)
    return realpathSync(root)
  } catch (error) {
    throw new RegentError('UNAVAILABLE', `the project's folder cannot be used: ${root}: ${reasonOf(error)}`, {
      hint: 'Name another with --project.',
      cause: error,
    })
  }
}

/** With its parents. Node's own `recursive` never returns where a parent is there and takes no folders, as in /proc. */
function makeFolders(path: string): void {
  if (existsSync(path)) return
  if (!existsSync(dirname(path))) makeFolders(dirname(path))
  mkdirSync(path)
}

function osUser(): string {
  try {
    return userInfo().username
  } catch {
    // This user has no entry in the machine's list; supervisord takes the number as well.
    return String(process.getuid?.() ?? '')
  }
}

function noProgram(agent: AgentRow, path: string): RegentError {
  return new RegentError('NOT_FOUND', `the agent file of ${agent.owner}/${agent.name} is not there, or is not a regular file: ${path}`, {
    hint: 'Apply its definition again (PATCH, or `regent apply -f FILE`): a missing file is written anew.',
    details: { what: 'agent-file' },
  })
}
