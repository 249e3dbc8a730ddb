import { isAbsolute, join } from 'node:path'
import { commandDefinition } from '../../../contract/agents.ts'
import { runnerVariables } from '../../../contract/link.ts'
import { referenced } from '../../../contract/secret-reference.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { RunSpec } from '../../../ports/runtime.ts'
import type { AgentRow } from '../../../ports/store.ts'

type Environment = Readonly<Record<string, string>>
export type Launch = Pick<RunSpec, 'argv' | 'cwd' | 'env' | 'reapOnExit' | 'needs'>

/** Linux refuses to start a program with a longer variable. */
const LONGEST_VARIABLE = 128 * 1024 - 1
const inherited = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR']
export interface LaunchContext {
  readonly root: string
  readonly baseEnv: Environment
  readonly run: { readonly runId: string; readonly start: number }
  readonly secrets: Environment
}

export interface TeamContext extends LaunchContext {
  readonly argv: readonly string[]
  readonly teamEnv: Environment
  readonly stateDir: string
}

/** A team's program: Regent's runner, with the variables that its configuration may name. */
export function launchTeam(agent: AgentRow, { root, baseEnv, teamEnv, run, secrets, argv, stateDir }: TeamContext): Launch {
  const env = {
    ...teamEnv,
    ...baseOf(baseEnv),
    ...identityOf(agent, run.runId),
    [runnerVariables.stateDir]: stateDir,
    [runnerVariables.start]: String(run.start),
    [runnerVariables.secrets]: JSON.stringify(secrets),
  }
  const read = [...argv.slice(-1), join(root, 'agents', 'node_modules')]
  return checked({ argv, cwd: root, env, reapOnExit: true, needs: { read, write: [stateDir] } })
}

/** A person's program: its own variables, with the secrets that they refer to. `missing` are the keys nobody gave a value for. */
export function launchCommand(agent: AgentRow, { root, baseEnv, run, secrets }: LaunchContext): { launch: Launch; missing: string[] } {
  const parsed = commandDefinition.safeParse(agent.definition)
  if (!parsed.success) throw new RegentError('INVALID', `the definition of ${agent.owner}/${agent.name} is not that of a command`)
  const { command, cwd, env: declared } = parsed.data
  const missing: string[] = []
  const resolve = (text: string): string => {
    const key = referenced(text)
    if (key === undefined) return text
    if (!Object.hasOwn(secrets, key)) missing.push(key)
    return Object.hasOwn(secrets, key) ? (secrets[key] ?? '') : ''
  }
  const own = Object.fromEntries(Object.entries(declared).map(([name, value]) => [name, resolve(value)]))
  const folder = cwd === undefined || isAbsolute(cwd) ? (cwd ?? root) : join(root, cwd)
  const env = { ...baseOf(baseEnv), ...own, ...identityOf(agent, run.runId) }
  return { launch: checked({ argv: command, cwd: folder, env, reapOnExit: false, needs: { read: [], write: [] } }), missing }
}

function baseOf(baseEnv: Environment): Environment {
  return Object.fromEntries(inherited.flatMap((name) => (baseEnv[name] === undefined ? [] : [[name, baseEnv[name]]])))
}

function identityOf(agent: AgentRow, runId: string): Environment {
  return {
    [runnerVariables.runId]: runId,
    [runnerVariables.agentId]: agent.id,
    [runnerVariables.agent]: `${agent.owner}/${agent.name}`,
  }
}

function checked(launch: Launch): Launch {
  for (const [name, value] of Object.entries(launch.env)) {
    if (Buffer.byteLength(`${name}=${value}`) > LONGEST_VARIABLE) {
      throw new RegentError('TOO_LARGE', `the variable ${name} is too long for a program's environment`, {
        hint: 'Put what is large into a file, and give the agent its path.',
      })
    }
  }
  return launch
}
