import type { Clock } from '../kernel/clock.ts'
import { RegentError, reasonOf } from '../kernel/errors.ts'
import type { Ids } from '../kernel/ids.ts'
import { checkJson, type JsonObject } from '../kernel/json.ts'
import type { Logger } from '../kernel/logger.ts'
import type { ModelCall } from '../ports/model.ts'
import type { ToolContent } from '../ports/tool-server.ts'
import type { Approvals } from './approvals.ts'
import { shorten } from './bounds.ts'
import type { PendingApproval } from './journal-state.ts'
import type { OfferedTool } from './toolbox.ts'
import type { Work } from './work.ts'

/** What the model is told of a call. */
export interface CallOutcome {
  readonly text: string
  readonly isError: boolean
}

/** What the journal keeps of a call: asking and running are found again only after the agent was cut off meanwhile. */
type CallState =
  | { readonly state: 'asking'; readonly approval: string }
  | { readonly state: 'running'; readonly readOnly: boolean }
  | { readonly state: 'done'; readonly outcome: CallOutcome }

export interface ToolCallsOptions {
  readonly approvals: Approvals
  readonly ids: Ids
  readonly clock: Clock
  readonly logger: Logger
  /** Whether anybody could answer an approval; asked each time. */
  readonly someoneToAsk: () => boolean
}

/** More levels than any frame or answer puts around a call's arguments; they count where depth is limited. */
const LEVELS_AROUND = 16
const ARGUMENT_CHARS = 200_000
const RESULT_CHARS = 60_000
const SHOWN_CHARS = 16_000

/** Carries out a model's tool calls by the rules of the configuration, each at most once. */
export class ToolCalls {
  readonly #options: ToolCallsOptions

  constructor(options: ToolCallsOptions) {
    this.#options = options
  }

  /** Never rejects for what the tool does wrong: the model is told instead. Rejects when the agent stops. */
  async run(work: Work, key: string, agent: string, tools: readonly OfferedTool[], call: ModelCall): Promise<CallOutcome> {
    const kept = work.recall<CallState>(key)
    if (kept?.state === 'done') return kept.outcome
    const tool = tools.find(({ offered }) => offered.name === call.tool)
    if (kept?.state === 'running' && !(kept.readOnly && tool)) {
      const text = `The outcome of '${call.tool}' is unknown: the agent was restarted while it ran. Find out what it did before you call it again.`
      return await this.#finish(work, key, agent, { text, isError: true })
    }
    const shown = { tool_name: call.tool, tool_args: call.args, available_tools: tools.map(({ offered }) => offered.name) }
    work.once(`${key}/said`, work.row('tool_call', agent, shown))
    if (tool === undefined) {
      if (kept?.state === 'asking') await this.#options.approvals.answer(kept.approval, false, 'agent', 'runner')
      return await this.#finish(work, key, agent, { text: `There is no tool '${call.tool}'.`, isError: true })
    }
    const problem = unusable(call.args)
    if (problem !== null) return await this.#finish(work, key, agent, { text: `'${call.tool}' was not called: ${problem}`, isError: true })
    const asks = tool.rule.seek_confirm || kept?.state === 'asking'
    const approved = asks && (await this.#confirmed(work, key, agent, tool, call))
    if (asks && !approved) return await this.#finish(work, key, agent, { text: `Tool call to '${tool.name}' was rejected`, isError: true })
    await work.keep(key, { state: 'running', readOnly: tool.offered.hints.readOnly === true } satisfies CallState)
    return await this.#finish(work, key, agent, await this.#execute(work, tool, call, approved))
  }

  async #confirmed(work: Work, key: string, agent: string, tool: OfferedTool, call: ModelCall): Promise<boolean> {
    const { approvals, ids, clock, someoneToAsk, logger } = this.#options
    const asked = work.recall<CallState>(key)
    const id = asked?.state === 'asking' ? asked.approval : ids.next()
    if (asked === undefined) {
      if (!someoneToAsk()) {
        logger.warn({ tool: tool.name, default: tool.rule.default }, 'nobody can be asked to confirm a tool call; its default is taken')
        return tool.rule.default === 'confirm'
      }
      const now = clock.now()
      const approval: PendingApproval = {
        id,
        message_id: work.message.id,
        subagent: agent,
        server: tool.server.id,
        tool: tool.name,
        arguments: call.args,
        default: tool.rule.default,
        requested_at: now,
        expires_at: now + tool.rule.time_to_confirm,
      }
      const asking: CallState = { state: 'asking', approval: id }
      await approvals.request(approval, { e: 'memo', id: work.message.id, key, value: asking })
    }
    return (await approvals.decision(id, work.signal)).confirmed
  }

  /** A server that went away during the call is tried once more only where the tool changes nothing. */
  async #execute(work: Work, tool: OfferedTool, call: ModelCall, approved: boolean): Promise<CallOutcome> {
    const again = tool.offered.hints.readOnly === true ? 1 : 0
    for (let attempt = 0; ; attempt++) {
      try {
        const result = await tool.server.call(tool.name, call.args, { signal: work.signal, approved })
        if (result.isError) work.signal.throwIfAborted()
        return { text: shorten(result.content.map(contentText).join('\n'), RESULT_CHARS), isError: result.isError }
      } catch (error) {
        work.signal.throwIfAborted()
        if (attempt < again) continue
        this.#options.logger.warn({ server: tool.server.id, tool: tool.name, reason: reasonOf(error) }, 'tool call failed')
        return { text: `The call of '${tool.name}' failed: ${reasonOf(error)}`, isError: true }
      }
    }
  }

  async #finish(work: Work, key: string, agent: string, outcome: CallOutcome): Promise<CallOutcome> {
    const content = [{ type: 'text', text: shorten(outcome.text, SHOWN_CHARS) }]
    const row = work.row('tool_result', agent, { content, isError: outcome.isError })
    await work.keep(key, { state: 'done', outcome } satisfies CallState, row)
    return outcome
  }
}

/** What a person is asked to confirm must be exactly what is called, so nothing is called that could not be shown as it is. */
function unusable(args: JsonObject): string | null {
  try {
    checkJson(Array.from({ length: LEVELS_AROUND }).reduce<JsonObject>((inner) => ({ inner }), args))
  } catch (error) {
    if (!(error instanceof RegentError)) throw error
    return 'its arguments hold a NUL, half a character, a forbidden key, or are nested too deep'
  }
  return JSON.stringify(args).length > ARGUMENT_CHARS ? `its arguments are longer than ${ARGUMENT_CHARS} characters` : null
}

/** The model gets text, whatever a tool returned. */
function contentText(content: ToolContent): string {
  if (content.type === 'text') return content.text
  if (content.type !== 'resource') return `[${content.type} ${content.mimeType}, ${content.data.length} characters of base64]`
  return content.text ?? `[resource ${content.uri} ${content.mimeType ?? ''}]`
}
