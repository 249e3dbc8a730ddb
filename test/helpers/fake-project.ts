import type { Project } from '../../src/ports/project.ts'
import type { Secrets } from '../../src/ports/secrets.ts'
import type { AgentRow } from '../../src/ports/store.ts'

/** A project without a disk: remembers what was written. */
export class FakeProject implements Project {
  readonly root = '/project'
  readonly written = new Map<string, AgentRow>()
  readonly lines: string[] = []

  async write(agent: AgentRow): Promise<string | null> {
    this.written.set(`${agent.owner}/${agent.name}`, agent)
    return agent.kind === 'team' ? `/project/agents/${agent.owner}/agents/${agent.name}_agent.mjs` : null
  }

  async check(): Promise<void> {}

  async restore(agent: AgentRow): Promise<void> {
    if (!this.written.has(`${agent.owner}/${agent.name}`)) await this.write(agent)
  }

  async remove(agent: AgentRow): Promise<void> {
    this.written.delete(`${agent.owner}/${agent.name}`)
  }

  async launch(agent: AgentRow) {
    const argv = Array.isArray(agent.definition.command) ? agent.definition.command.map(String) : ['agent']
    return { argv, cwd: '/project', env: {}, reapOnExit: agent.kind === 'team', needs: { read: [], write: [] } }
  }

  log(agent: Pick<AgentRow, 'owner' | 'name'>, line: string): void {
    this.lines.push(`${agent.owner}/${agent.name} ${line}`)
  }

  async close(): Promise<void> {}
}

export class FakeSecrets implements Secrets {
  readonly kept = new Map<string, Readonly<Record<string, string>>>()

  async put(agentId: string, values: Readonly<Record<string, string>>): Promise<void> {
    this.kept.set(agentId, values)
  }

  async get(agentId: string): Promise<Readonly<Record<string, string>>> {
    return this.kept.get(agentId) ?? {}
  }

  async remove(agentId: string): Promise<void> {
    this.kept.delete(agentId)
  }

  values(): ReadonlySet<string> {
    return new Set([...this.kept.values()].flatMap((one) => Object.values(one)))
  }
}
