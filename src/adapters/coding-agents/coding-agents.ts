import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { nearest } from '../../kernel/nearest.ts'
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
    locate,
  }
}

/** No shell and no `which`: what is started is what was found. */
async function locate(program: string, path: string, cwd: string): Promise<string | undefined> {
  if (program.includes('/')) return (await isProgram(resolve(cwd, program))) ? resolve(cwd, program) : undefined
  if (program === '' || program.includes('\0')) return undefined
  for (const folder of path.split(delimiter)) {
    // An empty or relative folder would mean the working directory, whose files are not where programs are trusted from.
    if (isAbsolute(folder) && (await isProgram(join(folder, program)))) return join(folder, program)
  }
  return undefined
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK)
    return (await stat(file)).isFile()
  } catch {
    return false
  }
}
