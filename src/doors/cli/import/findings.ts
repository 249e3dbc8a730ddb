import type { GivenInput } from '../../../client/client.ts'

export type NewAgentInput = GivenInput<'agents.apply'>['agent']
/** A program as an agent. */
export type CommandAgent = Extract<NewAgentInput, { kind: 'command' }>

export interface Imported {
  readonly agent: CommandAgent
  /** The supervisor it comes from would start it by itself. */
  readonly start: boolean
  /** Lower ones are started first. */
  readonly priority: number
}

/** What a file asks for and Regent does otherwise, or not at all. */
export interface Remark {
  readonly file: string
  /** Where in it: `program:web`, `apps.0 (web)`. */
  readonly section: string
  readonly key: string
  readonly text: string
}

/** What is taken along while a file is read. */
export interface Reading {
  /** The variables of the caller. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly remarks: Remark[]
}

/** Notes down remarks on one section of one file. */
export class Section {
  readonly file: string
  readonly name: string
  readonly #remarks: Remark[]

  constructor(reading: Reading, file: string, name: string) {
    this.file = file
    this.name = name
    this.#remarks = reading.remarks
  }

  /** Once, for several processes of one program too. */
  remark(key: string, text: string): void {
    const isKnown = this.#remarks.some((one) => one.file === this.file && one.section === this.name && one.key === key && one.text === text)
    if (!isKnown) this.#remarks.push({ file: this.file, section: this.name, key, text })
  }

  /** How an error about one of its keys begins. */
  place(key: string, line?: number): string {
    return `${this.file}${line === undefined ? '' : `:${line}`}: ${this.name}: ${key}`
  }
}
