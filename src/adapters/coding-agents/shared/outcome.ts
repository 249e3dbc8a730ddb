import { stripVTControlCharacters } from 'node:util'
import type { FailureKind } from '../../../contract/workers.ts'
import { tryParse } from '../../../kernel/json.ts'
import type { TurnExit, TurnOutcome } from '../../../ports/coding-agents.ts'
import { textAt } from './fields.ts'
import { limitIn } from './limits.ts'
import type { Sum } from './sum.ts'

/** What decides how a turn ended, beside its exit code. */
export interface Ending {
  /** A turn that told no session id has failed. */
  readonly needsSession: boolean
  /** A turn that told no result has failed; else what it said last, or printed, is its result. */
  readonly needsResult: boolean
  /** The CLI's words for a session that it does not have. */
  readonly noSession: RegExp
}

interface Ended {
  readonly exit: TurnExit
  /** What was no event. */
  readonly printed: string
  /** The session id that the turn was given. */
  readonly given: string | null
  readonly ending: Ending
}

const MOST_WORDS = 1000

/** Sums a turn up. */
export function outcomeOf(sum: Sum, ended: Ended): TurnOutcome {
  const failure = failureOf(sum, ended)
  const answer = sum.result?.text || sum.said || (sum.result === null ? ended.printed.trim() : '')
  const limit = failure === null || failure.kind === 'budget' ? null : limitOf(sum, ended)
  return {
    ok: failure === null,
    text: answer,
    sessionId: sum.sessionId ?? ended.given,
    costUsd: sum.costUsd,
    tokens: sum.tokens,
    ...(sum.tokens !== null && sum.tokensOfSession && { tokensOfSession: true }),
    document: sum.document ?? (ended.printed.trim() === '' ? answer : ended.printed),
    failure: failure === null || limit === null ? failure : { kind: 'limit', message: failure.message },
    limit,
  }
}

function failureOf(sum: Sum, { exit, printed, ending }: Ended): TurnOutcome['failure'] {
  const { result } = sum
  if (result?.isError) return failure(sum.kind ?? kindOf(result.text, ending) ?? 'error', result.text || 'it failed and did not say why')
  if (exit.code === null) return result === null ? failure('lost', 'nobody saw how it ended') : null
  if (exit.code !== 0) {
    const words = lastWords(exit.stderr) || lastWords(result === null ? printed : '')
    const message = `Exit code ${exit.code}${words === '' ? '' : `: ${words}`}`
    return failure(kindOf(exit.stderr, ending) ?? 'exit', message)
  }
  if (ending.needsSession && sum.sessionId === null)
    return failure('session', `Invalid or missing session_id: ${lastWords(printed).slice(0, 100) || 'none'}`)
  if (ending.needsResult && result === null) return failure('error', lastWords(exit.stderr) || 'it ended without a result')
  return null
}

/** Only a turn that failed is looked through for a limit: an answer may speak of one. */
function limitOf(sum: Sum, { exit, printed }: Ended): TurnOutcome['limit'] {
  if (sum.limit !== null) return sum.limit
  const words = sum.result?.isError ? sum.result.text : `${exit.stderr}\n${sum.result === null ? printed.slice(-MOST_WORDS) : ''}`
  return limitIn(words, exit.at) ?? null
}

const kindOf = (words: string, { noSession }: Ending): FailureKind | undefined => (noSession.test(words) ? 'session' : undefined)

const failure = (kind: FailureKind, message: string) => ({ kind, message })

/** The last line that says something, or what a JSON document at the end says. */
function lastWords(text: string): string {
  const plain = stripVTControlCharacters(text.slice(-8192)).trim()
  const told = plain.endsWith('}') ? textAt(tryParse(plain.slice(plain.search(/^\{/m))), 'error', 'message') : undefined
  return (told ?? plain.slice(plain.lastIndexOf('\n') + 1)).trim().slice(0, MOST_WORDS)
}
