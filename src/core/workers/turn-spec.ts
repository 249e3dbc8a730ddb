import { runnerVariables } from '../../contract/link.ts'
import { PERMISSION_TIMEOUT_VARIABLE } from '../../contract/worker-link.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { CodingAgent, Turn } from '../../ports/coding-agents.ts'
import type { RunSpec } from '../../ports/runtime.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { keptOf } from './worker-secrets.ts'
import type { Working } from './working.ts'

/** Where a turn is worked on. */
export interface Place {
  readonly cwd: string
  readonly branch: string | null
}

/** Regent's own may see what Regent sees; others start from little, with a home of their own. */
async function environmentOf(
  row: Pick<WorkerRow, 'id' | 'trusted' | 'spec' | 'secretsId'>,
  working: Working,
): Promise<Record<string, string>> {
  const { base, models } = working.workerSurroundings
  const given = await working.workerSecrets.resolved(keptOf(row))
  const own = row.trusted ? { ...base, ...models } : { ...base, HOME: given.HOME ?? (await working.workerFiles.folder(row.id)) }
  return { ...own, ...given }
}

/** The folder of its first turn; made where it is to be one of its own. Throws INVALID, naming the field, where it cannot be. */
export async function placeOf(row: WorkerRow, { workerFiles, worktrees, workerSurroundings }: Working): Promise<Place> {
  const { worktree, cwd: asked } = row.spec
  if (worktree === false && row.cwd !== null) return { cwd: row.cwd, branch: null }
  const cwd = asked ?? (row.trusted ? workerSurroundings.project : await workerFiles.folder(row.id))
  if (worktree !== false) return worktrees.make(row.id, { cwd, base: worktree === true ? 'HEAD' : worktree.base })
  if (!(await workerFiles.isFolder(cwd)))
    throw new RegentError('INVALID', `the folder ${cwd} is not there`, {
      fields: [{ path: 'worker.cwd', message: 'must be a folder that is there' }],
      hint: 'create it, or name another with cwd',
    })
  return { cwd, branch: null }
}

/** The program of a coding agent, absolute. Throws NOT_FOUND in the words of the worker tools where it is not in the PATH. */
export async function programOf(
  agent: CodingAgent,
  program: string,
  env: Readonly<Record<string, string>>,
  cwd: string,
  { codingAgents }: Working,
): Promise<string> {
  const found = await codingAgents.locate(program, env.PATH ?? '', cwd)
  if (found !== undefined) return found
  const title = agent.program === null ? program : agent.title
  throw new RegentError('NOT_FOUND', `${title} not in PATH`, {
    hint: `install ${program}, or add its folder to PATH`,
    details: { what: 'program', program },
  })
}

export interface TurnInput {
  readonly row: WorkerRow
  readonly runId: string
  readonly place: Place
  readonly agent: CodingAgent
  readonly budgetUsd: number | null
}

export function turnFor({ row, agent, budgetUsd }: Omit<TurnInput, 'runId' | 'place'>, working: Working): Turn {
  const { spec } = row
  return {
    workerId: row.id,
    prompt: row.prompt,
    sessionId: row.sessionId,
    resume: row.begun && row.sessionId !== null,
    model: spec.model ?? null,
    allowedTools: spec.allowed_tools ?? null,
    disallowedTools: spec.disallowed_tools ?? null,
    permissionMode: spec.permission_mode ?? null,
    appendSystemPrompt: spec.append_system_prompt ?? null,
    args: spec.args,
    command: spec.command ?? null,
    budgetUsd,
    stream: spec.stream && agent.can.stream,
    permissions: asks(row, agent)
      ? {
          ...working.workerSurroundings.asker,
          env: { [PERMISSION_TIMEOUT_VARIABLE]: String(spec.permission_timeout) },
        }
      : null,
  }
}

const asks = ({ spec }: WorkerRow, agent: CodingAgent): boolean => spec.permissions === 'ask' && agent.can.permissions

/** A coding agent builds and tests what it writes: it needs more than an agent that names no limits gets. */
const LIMITS = { memory_bytes: 4 * 2 ** 30, pids: 2048 } as const

/** A program that the worker names and another one starts. Throws as `programOf`. */
export async function checkNamed(
  { spec }: Pick<WorkerRow, 'spec'>,
  argv: readonly string[],
  agent: CodingAgent,
  { env, cwd }: { readonly env: Readonly<Record<string, string>>; readonly cwd: string },
  working: Working,
): Promise<void> {
  const [named] = spec.command ?? []
  if (agent.program === null && named !== undefined && named !== argv[0] && !named.includes('{'))
    await programOf(agent, named, env, cwd, working)
}

/** What the runtime starts for a turn. */
export async function specOf(input: TurnInput, working: Working): Promise<RunSpec> {
  const { row, runId, place, agent } = input
  const env = await environmentOf(row, working)
  const turn = turnFor(input, working)
  const command = agent.command(turn)
  const [program = '', ...args] = command.argv
  const path = await programOf(agent, program, env, place.cwd, working)
  await checkNamed(row, command.argv, agent, { env, cwd: place.cwd }, working)
  return {
    runId,
    agentId: row.id,
    label: `worker ${row.id.slice(0, 8)} of ${row.owner}`,
    argv: [path, ...args],
    cwd: place.cwd,
    env: { ...command.env, ...env, [runnerVariables.agentId]: row.id },
    limits: LIMITS,
    owner: row.owner,
    record: { worker: row.id, turn: row.turn, agent: row.agent, owner: row.owner },
    needs: { read: [], write: [] },
    reapOnExit: true,
    ...(row.trusted && { ownAccount: true as const }),
    link: asks(row, agent) ? working.linkOf(runId) : null,
  }
}
