import { matchesGlob } from 'node:path'
import type { Client } from '../../client/client.ts'
import type { AgentView } from '../../contract/agents.ts'
import { RegentError } from '../../kernel/errors.ts'
import { nearest } from '../../kernel/nearest.ts'
import { fullName, listAgents } from './agents.ts'

/** One agent to act on: what the server is told, and what people are told. */
export interface Target {
  readonly ref: string
  readonly name: string
}

const isPattern = (text: string): boolean => /[*?[{]/.test(text)

/**
 * The agents that words stand for: ids, unique id prefixes, `owner/name` and names go to the server as they are; `all` and globs
 * are matched here against names, `owner/name` and ids. Throws NOT_FOUND for a pattern without a match.
 */
export async function resolveTargets(client: Client, words: readonly string[], owner?: string): Promise<Target[]> {
  const plain = words.filter((word) => word !== 'all' && !isPattern(word)).map((ref) => ({ ref, name: ref }))
  if (plain.length === words.length) return unique(plain)
  const agents = await listAgents(client, owner)
  const matched = words.flatMap((word) => {
    if (word !== 'all' && !isPattern(word)) return []
    const found = word === 'all' ? agents : agents.filter((agent) => matches(agent, word))
    if (found.length === 0 && word !== 'all')
      throw new RegentError('NOT_FOUND', `no agent matches ${word}`, { hint: '`regent ps` lists the agents' })
    return found.map((agent) => ({ ref: agent.id, name: fullName(agent) }))
  })
  return unique([...plain, ...matched])
}

function matches(agent: AgentView, word: string): boolean {
  return [agent.name, fullName(agent), agent.id].some((text) => matchesGlob(text, word))
}

function unique(targets: readonly Target[]): Target[] {
  return [...new Map(targets.map((target) => [target.ref, target])).values()]
}

/** For `ps NAME…`: the same words, matched against a list that is there already. Throws NOT_FOUND for one without a match. */
export function filterAgents(agents: readonly AgentView[], words: readonly string[]): AgentView[] {
  if (words.length === 0 || words.includes('all')) return [...agents]
  const found = words.flatMap((word) => {
    const hits = isPattern(word) ? agents.filter((agent) => matches(agent, word)) : agents.filter((agent) => isNamed(agent, word))
    if (hits.length === 0) throw notFound(word, agents)
    return hits
  })
  return agents.filter((agent) => found.includes(agent))
}

const isNamed = (agent: AgentView, word: string): boolean =>
  agent.name === word || fullName(agent) === word || agent.id === word || (word.length >= 4 && agent.id.startsWith(word))

function notFound(word: string, agents: readonly AgentView[]): RegentError {
  const meant = nearest(word, new Set(agents.flatMap((agent) => [agent.name, fullName(agent)])))
  return new RegentError('NOT_FOUND', `there is no agent ${word}`, {
    hint: meant === undefined ? '`regent ps` lists the agents' : `did you mean ${meant}?`,
  })
}

/** Adds to a NOT_FOUND about an agent the names that were likely meant. Costs a request, and only then. */
async function suggestAgents(client: Client, error: unknown, word: string): Promise<unknown> {
  if (!(error instanceof RegentError) || error.code !== 'NOT_FOUND') return error
  const agents = await listAgents(client).catch(() => [])
  const meant = nearest(word, new Set(agents.flatMap((agent) => [agent.name, fullName(agent)])))
  const hint = meant === undefined ? (error.hint ?? '`regent ps` lists the agents') : `did you mean ${meant}?`
  return new RegentError(error.code, error.message, { hint, fields: error.fields, details: error.details, cause: error })
}

/** Asks about one agent; an unknown one is answered with the likeliest names. */
export async function about<T>(client: Client, word: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    throw await suggestAgents(client, error, word)
  }
}
