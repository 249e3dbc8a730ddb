import { copyFile, readFile, truncate } from 'node:fs/promises'
import { systemCode } from '../kernel/errors.ts'
import { tryParse } from '../kernel/json.ts'
import type { Logger } from '../kernel/logger.ts'
import { type Entry, JournalState } from './journal-state.ts'

/**
 * Reads a journal from disk; none there is an empty one. A torn last line is cut off. Where a line further up cannot be read, the whole
 * file is kept aside as `journal.jsonl.damaged` and what stands before that line is used.
 */
export async function readJournal(path: string, logger: Logger): Promise<{ state: JournalState; size: number }> {
  const state = new JournalState()
  const bytes = await readFile(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return Buffer.alloc(0)
    throw error
  })
  let good = 0
  for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, good)) {
    const entries = tryParse(bytes.toString('utf8', good, end))
    if (!Array.isArray(entries)) break
    for (const entry of entries as Entry[]) state.apply(entry)
    good = end + 1
  }
  if (good < bytes.length) await cut(path, good, bytes.indexOf(10, good) !== -1, logger)
  return { state, size: good }
}

async function cut(path: string, good: number, linesAreLost: boolean, logger: Logger): Promise<void> {
  if (linesAreLost) {
    await copyFile(path, `${path}.damaged`)
    logger.error(
      { path: `${path}.damaged`, byte: good },
      'the journal is damaged: it was kept aside, and what stands before the damage is used',
    )
  } else logger.warn({ byte: good }, 'the last line of the journal was torn by a crash and is cut off')
  await truncate(path, good)
}
