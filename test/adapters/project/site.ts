import { copyFileSync, cpSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { onTestFinished } from 'vitest'
import { createProjectFiles, type ProjectFilesOptions } from '../../../src/adapters/project/files/project-files.ts'
import { createFileSecrets } from '../../../src/adapters/secrets/files/file-secrets.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import type { JsonObject } from '../../../src/kernel/json.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Project } from '../../../src/ports/project.ts'
import type { Secrets } from '../../../src/ports/secrets.ts'
import type { AgentRow } from '../../../src/ports/store.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { agentRow } from '../../helpers/rows.ts'

export const checkout = resolve(import.meta.dirname, '../../..')
const fixture = join(checkout, 'test/fixtures/project/regent')

interface Site {
  readonly root: string
  readonly regentRoot: string
  readonly secrets: Secrets
  readonly project: Project
}

/** An empty project, and a Regent whose runner prints what it is given. */
export async function site(over: Partial<ProjectFilesOptions> = {}): Promise<Site> {
  const base = temporaryFolder()
  const [root, regentRoot] = [join(base, 'project'), join(base, 'regent')]
  cpSync(fixture, regentRoot, { recursive: true })
  mkdirSync(join(regentRoot, 'templates'))
  copyFileSync(join(checkout, 'templates/agent_script_template.mjs'), join(regentRoot, 'templates/agent_script_template.mjs'))
  const secrets = await createFileSecrets({ dir: join(base, 'secrets') })
  const project = createProjectFiles({
    root,
    regentRoot,
    nodePath: process.execPath,
    baseEnv: { PATH: '/usr/bin:/bin', HOME: '/home/ann', LANG: 'C.UTF-8', NODE_OPTIONS: '--inspect', LD_PRELOAD: 'evil.so' },
    teamEnv: { ANTHROPIC_API_KEY: 'key from the environment', PATH: 'not this one' },
    secrets,
    stateDir: (agentId) => join(base, 'state', agentId),
    logger: silentLogger,
    clock: systemClock,
    ...over,
  })
  onTestFinished(() => project.close())
  return { root: project.root, regentRoot, secrets, project }
}

export function team(definition: JsonObject = { subagents: [], json_config: {} }, over: Partial<AgentRow> = {}): AgentRow {
  return agentRow({ kind: 'team', name: 'finder', definition, ...over })
}

/** What stands in a definition in place of a secret. */
export const secretAt = (key: string): string => `\${secret:${key}}`

export async function optionsOf(root: string, regentRoot: string): Promise<ProjectFilesOptions> {
  return {
    root,
    regentRoot,
    nodePath: process.execPath,
    baseEnv: {},
    teamEnv: {},
    secrets: await createFileSecrets({ dir: join(temporaryFolder(), 'secrets') }),
    stateDir: (agentId) => agentId,
    logger: silentLogger,
    clock: systemClock,
  }
}
