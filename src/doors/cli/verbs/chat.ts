import type { Command } from 'commander'
import type { Client } from '../../../client/client.ts'
import type { AgentView } from '../../../contract/agents.ts'
import { fullName } from '../agents.ts'
import { createLines, type Lines } from '../chat/lines.ts'
import { ChatSession } from '../chat/session.ts'
import type { Cli } from '../cli.ts'
import { about } from '../targets.ts'
import { startOne } from './life.ts'

export function configure(command: Command, cli: Cli): void {
  command
    .argument('<AGENT>', 'name, owner/name, id or unique id prefix')
    .option('--conversation <NAME>', 'which conversation with the agent', 'main')
    .addHelpText(
      'after',
      '\nTool calls that need a yes are asked for inline. Ctrl-C ends the waiting for an answer, and outside of one the chat.\nLines of a pipe are sent one after the other, each after the answer to the one before.',
    )
    .action(async (word: string, { conversation }: { conversation: string }) => {
      const client = await cli.client()
      const agent = await about(client, word, () => client.call('agents.get', { agent: word }, { signal: cli.signal }))
      const { newest_event: from } = await client.call('system.status', {}, { signal: cli.signal })
      const lines = createLines(process.stdin, process.stdout)
      try {
        await offerStart(cli, client, lines, agent)
        if (lines.isTerminal) cli.note(cli.terminal.paintErr('dim', `talking with ${fullName(agent)}; /help tells more, /exit leaves`))
        await new ChatSession(cli, client, lines, { agent, conversation, from }).run()
      } finally {
        lines.close()
      }
    })
}

async function offerStart(cli: Cli, client: Client, lines: Lines, agent: AgentView): Promise<void> {
  if (agent.state === 'RUNNING' || agent.state === 'STARTING') return
  const name = fullName(agent)
  if (!lines.isTerminal) return cli.note(`${name} is ${agent.state}, so messages wait; start it with: regent start ${name}`)
  const answer = await lines.next(`${name} is ${agent.state}. Start it? [Y/n] `, cli.signal)
  if (answer !== undefined && /^\s*(y|yes)?\s*$/i.test(answer)) await startOne(cli, client, agent.id, true)
}
