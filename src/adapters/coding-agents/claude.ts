import type { JsonObject } from '../../kernel/json.ts'
import type { CodingAgent, Output, TokenCount, Turn, TurnCommand } from '../../ports/coding-agents.ts'
import { fitting, option, refuseOthers, words } from './shared/arguments.ts'
import { asObject, asText, at, countAt, listAt, numberAt, objectAt, textAt } from './shared/fields.ts'
import { limitIn } from './shared/limits.ts'
import { EventReader, type Wording } from './shared/reader.ts'
import type { Sum } from './shared/sum.ts'

/** The asker's name among Claude's MCP servers, and its tool's name as Claude composes it. */
const ASKER = 'regent_permissions'
const ASKER_TOOL = `mcp__${ASKER}__request_permission`

/**
 * Defaults for what the worker's environment leaves open. Without a bound Claude asks a provider that is down for minutes, and longer than
 * most turns may take; the other two keep it from calling home and from replacing itself while others of it run.
 */
const DEFAULTS = { CLAUDE_CODE_MAX_RETRIES: '3', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', DISABLE_AUTOUPDATER: '1' }

/** Anthropic's Claude Code. */
export const claude: CodingAgent = {
  name: 'claude',
  title: 'Claude',
  program: 'claude',
  can: { resume: true, stream: true, choosesSession: true, permissions: true },
  // Not CLAUDE_*: a Claude Code that calls Regent has variables of its own session, which are not its workers'.
  variables: [
    'ANTHROPIC_*',
    'CLAUDE_CONFIG_DIR',
    'CLAUDE_CODE_OAUTH_TOKEN',
    'CLAUDE_CODE_USE_*',
    'CLAUDE_CODE_SKIP_*',
    'CLAUDE_CODE_MAX_*',
    'CLAUDE_CODE_DISABLE_*',
    'CLAUDE_CODE_SUBAGENT_MODEL',
    'CLAUDE_CODE_API_KEY_HELPER_TTL_MS',
    'CLAUDE_CODE_CLIENT_*',
    'AWS_*',
    'VERTEX_*',
    'GOOGLE_APPLICATION_CREDENTIALS',
    'GOOGLE_CLOUD_PROJECT',
    'CLOUD_ML_REGION',
    'DISABLE_*',
    'BASH_DEFAULT_TIMEOUT_MS',
    'BASH_MAX_TIMEOUT_MS',
    'MAX_THINKING_TOKENS',
    'MCP_TIMEOUT',
    'MCP_TOOL_TIMEOUT',
    'API_TIMEOUT_MS',
    'IS_SANDBOX',
  ],

  command(turn: Turn): TurnCommand {
    refuseOthers(turn, {
      title: 'Claude',
      fields: ['model', 'allowed_tools', 'disallowed_tools', 'permission_mode', 'append_system_prompt', 'permissions'],
    })
    const first = turn.sessionId !== null && !turn.resume ? ['--session-id', turn.sessionId] : []
    const options = [
      ...(turn.stream ? ['--output-format', 'stream-json', '--verbose'] : ['--output-format', 'json']),
      ...first,
      ...settings(turn),
    ]
    const resume = turn.resume && turn.sessionId !== null ? ['--resume', turn.sessionId] : []
    const argv = turn.prompt.startsWith('-')
      ? ['claude', ...resume, '-p', ...options, ...turn.args, '--', turn.prompt]
      : ['claude', ...resume, '-p', turn.prompt, ...options, ...turn.args]
    return { argv: fitting(turn, argv), env: DEFAULTS }
  },

  reader: (turn) => new EventReader(wording, turn),
}

/** Options that take many values come before others that begin with a dash, which end them. */
function settings(turn: Turn): readonly string[] {
  const allowed = words('allowed_tools', turn.allowedTools)
  const disallowed = words('disallowed_tools', turn.disallowedTools)
  const { permissions, budgetUsd } = turn
  const server = permissions && { mcpServers: { [ASKER]: { type: 'stdio', ...permissions } } }
  return [
    ...option('--model', turn.model),
    ...(allowed.length > 0 ? ['--allowedTools', ...allowed] : []),
    ...(disallowed.length > 0 ? ['--disallowedTools', ...disallowed] : []),
    ...option('--permission-mode', turn.permissionMode),
    ...option('--append-system-prompt', turn.appendSystemPrompt),
    ...(budgetUsd === null ? [] : ['--max-budget-usd', plainNumber(budgetUsd)]),
    ...(server ? ['--mcp-config', JSON.stringify(server), '--permission-prompt-tool', ASKER_TOOL] : []),
  ]
}

/** Never in powers of ten. */
const plainNumber = (value: number): string => value.toFixed(6).replace(/\.?0+$/, '') || '0'

/** The events of `--output-format stream-json`; the last of them is all that `json` prints, and older versions print it without a type. */
const wording: Wording = {
  needsSession: true,
  needsResult: true,
  noSession: /no conversation found|--resume requires a valid session|session id .* is already in use/i,
  event(event, sum, seen) {
    const type = textAt(event, 'type')
    if (type === 'result' || (type === undefined && ('result' in event || 'session_id' in event))) return ended(event, sum, seen)
    if (type === 'system') return textAt(event, 'subtype') === 'init' ? sum.session(event.session_id) : []
    if (type === 'assistant') return [...sum.session(event.session_id), ...assistant(event, sum)]
    if (type === 'user') return toolResults(event, sum)
    if (type === 'rate_limit_event') return limited(event, sum)
    // Of newer versions: known by the session that all its events name.
    return type !== undefined && 'session_id' in event ? [] : null
  },
}

/** One message comes in as many events as it has blocks, each with the usage of the whole. */
function assistant(event: JsonObject, sum: Sum): readonly Output[] {
  const speaker = textAt(event, 'parent_tool_use_id') ?? ''
  const isNew = sum.speaks(speaker, textAt(event, 'message', 'id') ?? '')
  const content = at(event, 'message', 'content')
  const blocks = typeof content === 'string' ? [{ type: 'text', text: content }] : listAt(event, 'message', 'content')
  return [...blocks.flatMap((block) => said(block, sum)), ...(isNew ? sum.count(tokensOf(at(event, 'message', 'usage'))) : [])]
}

function said(block: unknown, sum: Sum): readonly Output[] {
  const type = textAt(block, 'type')
  if (type === 'text') return sum.say(textAt(block, 'text') ?? '')
  if (type !== 'tool_use') return []
  return sum.call(textAt(block, 'id'), textAt(block, 'name') ?? 'unknown', asObject(at(block, 'input')))
}

function toolResults(event: JsonObject, sum: Sum): readonly Output[] {
  sum.speaks(textAt(event, 'parent_tool_use_id') ?? '', '')
  return listAt(event, 'message', 'content')
    .filter((block) => textAt(block, 'type') === 'tool_result')
    .flatMap((block) => sum.answer(textAt(block, 'tool_use_id'), textOf(at(block, 'content')), at(block, 'is_error') === true))
}

/** Content is a text, or blocks of which some are texts. */
function textOf(content: unknown): string {
  if (!Array.isArray(content)) return asText(content)
  return content.map((block) => textAt(block, 'text') ?? `[${textAt(block, 'type') ?? 'content'}]`).join('\n')
}

/** Told whenever what is left changes; only what is refused is a limit, and not where it is paid for otherwise. */
function limited(event: JsonObject, sum: Sum): readonly Output[] {
  const info = objectAt(event, 'rate_limit_info')
  if (info.status !== 'rejected' || info.isUsingOverage === true || info.overageStatus === 'allowed') return []
  const seconds = numberAt(info, 'resetsAt')
  const until = seconds === undefined ? null : seconds * 1000
  sum.limit = { until }
  return [{ kind: 'limit', until, text: `${String(info.rateLimitType ?? 'usage').replaceAll('_', ' ')} limit reached` }]
}

/** `is_error` alone tells of failure: what the API refused has the subtype `success`. */
function ended(event: JsonObject, sum: Sum, { line, now }: { readonly line: string; readonly now: number }): readonly Output[] {
  const subtype = textAt(event, 'subtype') ?? ''
  const isError = event.is_error === true || subtype.startsWith('error')
  const session = sum.session(event.session_id)
  sum.document = line
  sum.costUsd = numberAt(event, 'total_cost_usd') ?? null
  sum.tokens = totalOf(event)
  sum.kind = subtype === 'error_max_budget_usd' ? 'budget' : null
  const errors = listAt(event, 'errors').map(asText).join('; ')
  const text = 'result' in event ? asText(event.result) : isError ? errors || subtype.replaceAll('_', ' ') : ''
  const result = sum.end({ text, isError })
  if (event.api_error_status !== 429 || sum.limit !== null) return [...session, ...result]
  sum.limit = limitIn(text, now) ?? { until: null }
  return [...session, ...result, { kind: 'limit', until: sum.limit.until, text }]
}

/** By model where that is told, as it holds what subagents and small errands took. */
function totalOf(event: JsonObject): TokenCount | null {
  const models = Object.values(objectAt(event, 'modelUsage'))
  const sum = (field: string): number => models.reduce<number>((total, model) => total + countAt(model, field), 0)
  if (models.length > 0) return { input: sum('inputTokens') + sum('cacheCreationInputTokens'), output: sum('outputTokens') }
  return 'usage' in event ? tokensOf(event.usage) : null
}

function tokensOf(usage: unknown): TokenCount {
  return { input: countAt(usage, 'input_tokens') + countAt(usage, 'cache_creation_input_tokens'), output: countAt(usage, 'output_tokens') }
}
