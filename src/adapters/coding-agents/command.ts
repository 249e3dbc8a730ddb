import type { CodingAgent, Output, Turn, TurnCommand, TurnExit, TurnReader } from '../../ports/coding-agents.ts'
import { fitting, invalid, refuseOthers } from './shared/arguments.ts'
import { outcomeOf } from './shared/outcome.ts'
import { PlainOutput } from './shared/plain-output.ts'
import { Sum } from './shared/sum.ts'

const ending = { needsSession: false, needsResult: false, noSession: /(?!)/ }

/** Any program: it is given the prompt, and what it prints is its answer. */
export const command: CodingAgent = {
  name: 'command',
  title: 'The command',
  program: null,
  can: { resume: true, stream: true, choosesSession: true, permissions: false },
  variables: [],

  command(turn: Turn): TurnCommand {
    refuseOthers(turn, { title: 'A command', fields: ['command'] })
    if (turn.command === null) throw invalid('command', 'is missing', 'Name the program and its arguments in `command`.')
    const [program = '', ...rest] = turn.command
    if (program.includes('{prompt}') || program.includes('{session}') || program.trim() === '')
      throw invalid('command', 'its first word must be a program', 'Name the program in the first word, and put {prompt} into another.')
    const template = [...rest, ...turn.args]
    const values = { '{prompt}': turn.prompt, '{session}': turn.sessionId ?? '' }
    const filled = template.map((word) => word.replaceAll(/\{prompt\}|\{session\}/g, (name) => values[name as keyof typeof values]))
    const whole = template.some((word) => word.includes('{prompt}')) ? filled : [...filled, turn.prompt]
    return { argv: fitting(turn, [program, ...whole]), env: {} }
  },

  reader: (turn) => new PlainReader(turn.sessionId),
}

class PlainReader implements TurnReader {
  readonly #plain = new PlainOutput()
  readonly #given: string | null

  constructor(given: string | null) {
    this.#given = given
  }

  line(text: string): readonly Output[] {
    this.#plain.add(text)
    return text.trim() === '' ? [] : [{ kind: 'text', text }]
  }

  end(exit: TurnExit) {
    return outcomeOf(new Sum(), { exit, printed: this.#plain.text(), given: this.#given, ending })
  }
}
