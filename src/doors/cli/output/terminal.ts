/** Where the CLI writes. Answers go to stdout, everything for people's eyes beside them to stderr. */
export interface Terminal {
  out(text: string): void
  err(text: string): void
  /** Columns of stdout; Infinity where it is no terminal, so that nothing is cut for a pipe. */
  readonly width: number
  readonly outIsTerminal: boolean
  /** Somebody can read hints and answer questions. */
  readonly isInteractive: boolean
  readonly paint: Paint
  readonly paintErr: Paint
}

export type Colour = 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan' | 'dim' | 'bold'
export type Paint = (colour: Colour, text: string) => string

const codes: Readonly<Record<Colour, readonly [number, number]>> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
  dim: [2, 22],
  bold: [1, 22],
}

const inColour: Paint = (colour, text) => `\x1b[${codes[colour][0]}m${text}\x1b[${codes[colour][1]}m`
const plain: Paint = (_, text) => text

/** `NO_COLOR` (any value), `TERM=dumb` and pipes mean no colour; `FORCE_COLOR` means colour. */
export function createTerminal(env: Readonly<Record<string, string | undefined>>): Terminal {
  const { stdout, stderr, stdin } = process
  for (const stream of [stdout, stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit() // The reader has what it wanted (`regent ps | head`).
      throw error
    })
  const colourOf = (isTerminal: boolean | undefined): Paint => {
    if (env.NO_COLOR) return plain
    if (env.FORCE_COLOR && env.FORCE_COLOR !== '0') return inColour
    return isTerminal && env.TERM !== 'dumb' ? inColour : plain
  }
  return {
    out: (text) => void stdout.write(`${text}\n`),
    err: (text) => void stderr.write(`${text}\n`),
    width: stdout.isTTY ? stdout.columns || 80 : Number.POSITIVE_INFINITY,
    outIsTerminal: stdout.isTTY === true,
    isInteractive: stderr.isTTY === true && stdin.isTTY === true,
    paint: colourOf(stdout.isTTY),
    paintErr: colourOf(stderr.isTTY),
  }
}
