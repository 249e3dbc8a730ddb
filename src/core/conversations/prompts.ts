import type { Clock } from '../../kernel/clock.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Store } from '../../ports/store.ts'
import { postAll } from './inbox.ts'

/** What somebody wrote on an agent's channel. */
export interface Prompt {
  readonly id: string
  readonly content: string
  readonly metadata: JsonObject
}

export interface PromptsOptions {
  readonly store: Store
  readonly clock: Clock
}

/** Prompts that are stored by one transaction. */
export const PROMPTS_AT_ONCE = 64

/** Whether the same may be stored later: the store is away or full, or the inbox is. */
export const isPassing = (error: unknown): boolean => error instanceof RegentError && passing.has(error.code)
const passing: ReadonlySet<string> = new Set<RegentError['code']>(['UNAVAILABLE', 'NO_SPACE', 'TIMED_OUT', 'TOO_MANY'])

/** Puts them into the agent's inbox, in their order: all of them, or none. An agent that is gone takes them without a word. */
export async function storePrompts({ store, clock }: PromptsOptions, agentId: string, prompts: readonly Prompt[]): Promise<void> {
  const common = { conversation: 'main', sender: 'channel', actor: 'channel' }
  const posts = prompts.map((prompt) => ({ ...prompt, ...common }))
  await store.transaction(async (tables) => {
    const agent = await tables.agents.get(agentId)
    if (agent) await postAll(tables, agent, posts, clock)
  })
}
