import { nearest } from '../../kernel/nearest.ts'
import { findProgram } from '../../kernel/programs.ts'
import type { CodingAgent, CodingAgents } from '../../ports/coding-agents.ts'
import { acp } from './acp.ts'
import { claude } from './claude.ts'
import { codex } from './codex.ts'
import { command } from './command.ts'
import { gemini } from './gemini.ts'
import { opencode } from './opencode.ts'
import { invalid } from './shared/arguments.ts'

/** Every coding agent that Regent knows; another one is another line here, and a file of its own. */
const table: readonly CodingAgent[] = [claude, codex, gemini, opencode, acp, command]

export function createCodingAgents(): CodingAgents {
  const byName = new Map(table.map((agent) => [agent.name, agent]))
  const names = [...byName.keys()]
  return {
    names,
    get(name) {
      const agent = byName.get(name)
      if (agent !== undefined) return agent
      const meant = nearest(name, names)
      const hint = meant === undefined ? 'Name one of these, or `command` for any other program.' : `Did you mean ${meant}?`
      throw invalid('agent', `there is no coding agent "${name}"; there are ${names.join(', ')}`, hint)
    },
    locate: findProgram,
  }
}
