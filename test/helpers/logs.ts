import type { Logger } from '../../src/kernel/logger.ts'

export interface CollectingLogger extends Logger {
  readonly lines: { readonly level: string; readonly fields: object; readonly message: string }[]
  /** All that was logged, as one text. */
  text(): string
}

export function collectingLogger(): CollectingLogger {
  const lines: CollectingLogger['lines'] = []
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message })
  const logger: CollectingLogger = {
    lines,
    text: () => JSON.stringify(lines),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
  }
  return logger
}
