// What racing workers promise beyond the rows of the contract.
import { proved, type Requirement } from './row.ts'

// biome-ignore format: one promise a line
export const workers: readonly Requirement[] = [
  proved(5, 'I5-CLAUDE-01', 'I', 'The real Claude Code CLI works a turn and goes on in its session; text, cost, tokens and session are events, and no key is in them'),
  proved(5, 'I5-CLAUDE-02', 'I', 'A race of three real ones: the first that answers wins, the others are cancelled'),
  proved(5, 'I5-CLAUDE-03', 'I', 'A time limit, a cancel, a provider that refuses and a CLI that is missing are each told in words'),
  proved(5, 'I5-CLAUDE-04', 'I', 'Claude Code itself as the MCP client, as the README configures it, with Claude Code as the worker'),
  proved(5, 'I5-SURVIVE-01', 'I', 'A real one outlives a kill -9 of Regent, and its answer waits'),
  proved(5, 'I5-SURVIVE-02', 'I', 'Ten workers outlive every kill -9 of Regent; each end is told once'),
  proved(5, 'I5-SURVIVE-03', 'I', 'Ten workers: kill -9 of Regent and of the stdio server lose no worker and no result'),
  proved(5, 'I5-CLAIM-01', 'I', 'A cancelled wait and a client that is killed give back what they were told; the next wait tells of it'),
  proved(5, 'I5-CREW-01', 'I', 'Clients in two folders never take each other\'s winners; one that comes back finds its own'),
  proved(5, 'I5-START-01', 'I', 'The stdio server starts a Regent where none runs, which outlives it'),
  proved(5, 'I5-START-02', 'I', 'A Regent that was started for its clients ends when no client, agent or worker has needed it for so long'),
  proved(5, 'I5-MCP-01', 'I', 'List, cancel, live output and transcripts as resources that can be subscribed to'),
  proved(5, 'I5-MCP-02', 'I', 'The tools at /mcp, behind the gate, for clients of both protocol eras, each user with his own'),
  proved(5, 'I5-MCP-03', 'I', 'The scenarios of the MCP conformance suite that hold for every server pass at /mcp'),
  proved(5, 'I5-PERM-01', 'I', 'A permission prompt of a worker is an approval at every door, over a kill -9 of Regent, and its CLI obeys the first answer'),
  proved(5, 'I5-QUEUE-01', 'I', 'More than may run wait in the queue, the most urgent first, over a kill -9'),
  proved(5, 'I5-REAP-01', 'I', 'What a CLI leaves behind ends with it, and with a cancel'),
  proved(5, 'I5-OUTPUT-01', 'I', 'Output is read while it runs, in pages, whole, however long a line is'),
]
