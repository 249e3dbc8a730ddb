import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../../kernel/errors.ts'
import { isUuid } from '../../kernel/ids.ts'

/** Ids of agents and workers that left something in a home and are not among the known ones. */
export async function tracesIn(dir: string, known: readonly string[]): Promise<string[]> {
  const secrets = (await namesIn(join(dir, 'secrets'))).map((name) => name.replace(/\.json$/, ''))
  const found = new Set([...secrets, ...(await namesIn(join(dir, 'agents')))])
  for (const id of known) found.delete(id)
  return [...found].filter(isUuid).sort()
}

/** How many runs left their records in a home. */
export async function runsIn(dir: string): Promise<number> {
  const names = await namesIn(join(dir, 'runs'))
  return names.filter((name) => existsSync(join(dir, 'runs', name, 'run.json'))).length
}

/** What is in a folder; nothing where there is none. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}
