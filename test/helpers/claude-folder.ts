import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from './folder.ts'

/** A folder with a `claude` that is this shell script; its arguments are those of the CLI. */
export function claudeFolder(script: string): string {
  const folder = temporaryFolder()
  const file = join(folder, 'claude')
  writeFileSync(file, `#!/bin/sh\n${script}\n`)
  chmodSync(file, 0o755)
  return folder
}

/** What a shell script prints as Claude Code's last line; `result` may hold what the shell replaces. */
export const answering = (result: string, session = '9a000000-0000-4000-8000-000000000000'): string =>
  `printf '{"type":"result","is_error":false,"result":"%s","session_id":"${session}","total_cost_usd":0.01}\\n' "${result}"`

export const pathWith = (folder: string): string => `${folder}:/usr/local/bin:/usr/bin:/bin`
