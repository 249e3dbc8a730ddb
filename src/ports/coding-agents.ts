import type { FailureKind } from '../contract/workers.ts'
import type { JsonObject } from '../kernel/json.ts'

/** One turn of a worker, as a dialect needs it to write its CLI's command line. */
export interface Turn {
  readonly workerId: string
  readonly prompt: string
  /** Chosen by Regent before the first turn, where the CLI lets it; afterwards what the CLI last said. Null: not known. */
  readonly sessionId: string | null
  /** The session has been begun by an earlier turn and is to be gone on with. */
  readonly resume: boolean
  readonly model: string | null
  readonly allowedTools: readonly string[] | null
  readonly disallowedTools: readonly string[] | null
  readonly permissionMode: string | null
  readonly appendSystemPrompt: string | null
  readonly args: readonly string[]
  /** Of a worker that is any program. */
  readonly command: readonly string[] | null
  /** What is left of the budget in money; null: no bound. */
  readonly budgetUsd: number | null
  readonly stream: boolean
  /** The program that asks Regent for permissions, an MCP server over stdio; null: the CLI decides by itself. */
  readonly permissions: {
    readonly command: string
    readonly args: readonly string[]
    readonly env: Readonly<Record<string, string>>
  } | null
}

/** How a turn's program is started; the first word of `argv` is looked up in the worker's PATH. */
export interface TurnCommand {
  readonly argv: readonly string[]
  /** Beside the worker's own variables, which win where they name the same. */
  readonly env: Readonly<Record<string, string>>
}

export interface TokenCount {
  /** Without those that were read from a cache. */
  readonly input: number
  readonly output: number
}

/** What a line means. Texts are whole; the reader of these shortens. `usage` adds to what was told before. */
export type Output =
  | { readonly kind: 'session'; readonly sessionId: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'tool_call'; readonly tool: string; readonly input: JsonObject }
  | { readonly kind: 'tool_result'; readonly tool: string | null; readonly text: string; readonly isError: boolean }
  | { readonly kind: 'usage'; readonly tokens: TokenCount }
  | { readonly kind: 'result'; readonly text: string; readonly isError: boolean; readonly costUsd: number | null }
  /** A provider's limit; `until`: epoch ms, null where it does not say. */
  | { readonly kind: 'limit'; readonly until: number | null; readonly text: string }
  | { readonly kind: 'raw'; readonly text: string }

/** How a turn's process ended: its code, 128 + n for signal n; null where nobody saw it. */
export interface TurnExit {
  readonly code: number | null
  /** The last of what it printed on stderr, at most 8 KiB. */
  readonly stderr: string
  /** Epoch ms. */
  readonly at: number
}

export interface TurnOutcome {
  readonly ok: boolean
  /** What it answered. */
  readonly text: string
  readonly sessionId: string | null
  /** Money of this turn; null where it is not told. */
  readonly costUsd: number | null
  /** Of the whole turn where the CLI sums up; null: what `usage` lines told. */
  readonly tokens: TokenCount | null
  /** `tokens` count the whole session, earlier turns included; absent: this turn alone. */
  readonly tokensOfSession?: boolean
  /** What `peek` shows as stdout: the CLI's own result document where it has one, else all it printed that is not too long. */
  readonly document: string
  /** Why not, in words; null with `ok`. */
  readonly failure: { readonly kind: FailureKind; readonly message: string } | null
  /** The provider's limit was reached; epoch ms at which it ends, null where that is not said. */
  readonly limit: { readonly until: number | null } | null
}

/** Reads the lines of one turn's stdout in their order. Holds only what it needs to sum up. */
export interface TurnReader {
  /** `now`: epoch ms, for times of day that a CLI states. */
  line(text: string, now: number): readonly Output[]
  /** After the last line; to be called once. */
  end(exit: TurnExit): TurnOutcome
}

/** One coding agent's CLI. */
export interface CodingAgent {
  readonly name: string
  /** What people call it: `Claude not in PATH`. */
  readonly title: string
  /** Null for one whose program the worker names. */
  readonly program: string | null
  readonly can: {
    /** An ended worker can go on in its session. */
    readonly resume: boolean
    /** Its output can be read as it comes. */
    readonly stream: boolean
    /** Regent chooses the session id. */
    readonly choosesSession: boolean
    /** Its permission prompts can be brought to Regent. */
    readonly permissions: boolean
  }
  /** Variables of a caller that it needs, such as its login: names, or beginnings that end in `*`. */
  readonly variables: readonly string[]
  /** Throws INVALID, naming the field, for what this CLI cannot be asked. */
  command(turn: Turn): TurnCommand
  reader(turn: Pick<Turn, 'sessionId' | 'stream'>): TurnReader
}

/** The coding agents that Regent knows, and where their programs are. */
export interface CodingAgents {
  /** Throws INVALID, naming those that there are. */
  get(name: string): CodingAgent
  readonly names: readonly string[]
  /** The absolute path of a program in a PATH; undefined where it is in none of its folders. `cwd`: for programs with a slash. */
  locate(program: string, path: string, cwd: string): Promise<string | undefined>
}
