import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, isAbsolute, join, resolve } from 'node:path'

/**
 * The program's whole path, or undefined where there is none that may be run. One with a slash is looked up from `cwd`, any other
 * in the folders of `path`, as a PATH gives them. No shell and no `which`: what is started is what was found.
 */
export async function findProgram(program: string, path: string, cwd: string): Promise<string | undefined> {
  if (program.includes('/')) return (await isProgram(resolve(cwd, program))) ? resolve(cwd, program) : undefined
  if (program === '' || program.includes('\0')) return undefined
  for (const folder of path.split(delimiter)) {
    // An empty or relative folder would mean the working directory, whose files are not where programs are trusted from.
    if (isAbsolute(folder) && (await isProgram(join(folder, program)))) return join(folder, program)
  }
  return undefined
}

async function isProgram(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK)
    return (await stat(file)).isFile()
  } catch {
    return false
  }
}
