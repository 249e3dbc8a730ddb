import { readFile } from 'node:fs/promises'
import { request as plain } from 'node:http'
import { request as secure } from 'node:https'
import { join } from 'node:path'
import { linkFile } from '../contract/link.ts'
import {
  DENIED,
  DENIED_UNANSWERED,
  PERMISSION_HOLD_MS,
  PERMISSION_PATH,
  type PermissionQuestion,
  permissionAnswer,
} from '../contract/worker-link.ts'
import type { Clock } from '../kernel/clock.ts'
import { reasonOf } from '../kernel/errors.ts'
import { tryParse } from '../kernel/json.ts'

export interface Verdict {
  readonly allow: boolean
  /** Why not. */
  readonly message: string
}

export interface AskOptions {
  /** Where link.json is. */
  readonly runDir: string
  /** How long an answer is waited for. */
  readonly timeoutMs: number
  readonly clock: Clock
  /** Whoever asked no longer wants to know. */
  readonly signal: AbortSignal
  readonly say: (words: string) => void
}

const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 2_000
/** So much later than it should Regent may still answer: it is the one who tells people that a question has closed. */
const GRACE_MS = 3_000
const ANSWER_CHARS = 1024 * 1024
/** Of what is wrong with the question itself; anything else may be otherwise at the next try. */
const FINAL = [400, 413, 422]

/**
 * Puts one question to Regent until it is answered, through restarts of Regent, which may change its address and the token. Never fails: what
 * cannot be answered in time is refused.
 */
export async function askRegent(question: PermissionQuestion, options: AskOptions): Promise<Verdict> {
  const { clock, signal, timeoutMs, say } = options
  const end = clock.elapsed() + timeoutMs
  let failures = 0
  while (clock.elapsed() < end) {
    const left = end - clock.elapsed()
    try {
      const answer = await ask(question, options, Math.min(left + GRACE_MS, PERMISSION_HOLD_MS + 10_000))
      if (answer !== undefined) return answer
      failures = 0
      await clock.sleep(FIRST_WAIT_MS, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (failures === 0) say(`Regent cannot be asked for now: ${reasonOf(error)}`)
      const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures++)
      await clock.sleep(Math.min(Math.max(0, end - clock.elapsed()), longest / 2 + (Math.random() * longest) / 2), signal)
    }
  }
  return { allow: false, message: DENIED_UNANSWERED }
}

/** One try; undefined: nobody has decided yet. Throws where Regent does not answer, or answers what it should not. */
async function ask(question: PermissionQuestion, { runDir, signal }: AskOptions, patienceMs: number): Promise<Verdict | undefined> {
  const { url, token } = linkFile.parse(JSON.parse(await readFile(join(runDir, 'link.json'), 'utf8')))
  const { status, body } = await post(addressOf(url), { token, text: JSON.stringify(question), patienceMs, signal })
  if (FINAL.includes(status)) return { allow: false, message: `Permission denied: Regent did not understand the question (${status})` }
  if (status !== 200) throw new Error(`it answered ${status}`)
  const answer = permissionAnswer.parse(tryParse(body))
  if (answer.state === 'pending') return undefined
  return { allow: answer.allow, message: answer.message ?? DENIED }
}

/** `link.json` names Regent's address, or that of the link. */
function addressOf(link: string): URL {
  const url = new URL(PERMISSION_PATH, link)
  url.protocol = url.protocol.replace('ws', 'http')
  return url
}

interface Post {
  readonly token: string
  readonly text: string
  readonly patienceMs: number
  readonly signal: AbortSignal
}

/** With Node's own client: another would be half of what this program weighs. */
function post(url: URL, { token, text, patienceMs, signal }: Post): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const late = AbortSignal.timeout(Math.ceil(patienceMs))
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
    const request = url.protocol === 'https:' ? secure : plain
    const sent = request(url, { method: 'POST', headers, agent: false, signal: AbortSignal.any([signal, late]) }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        body += piece
        if (body.length > ANSWER_CHARS) response.destroy(new Error('its answer is too long'))
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    sent.on('error', reject)
    sent.end(text)
  })
}
