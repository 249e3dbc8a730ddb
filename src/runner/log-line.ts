export type LogLevel = 'debug' | 'info' | 'warning' | 'error'

/** One line of an agent's log, in the shape of its channel's log events. */
export interface LogLine {
  readonly timestamp: string
  readonly type: LogLevel
  readonly name: string
  readonly namespace: string
  readonly message: string
  readonly data: object
}
