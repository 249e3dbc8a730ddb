// Which files the checks look at.
import { execFileSync } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { join, sep } from 'node:path'

const code = '**/*.{ts,tsx,mts,cts,js,jsx,mjs,cjs}'
const isOurs = (file) => !file.split(sep).some((part) => part === 'node_modules' || part === 'dist')

/** Source files below the given folders, relative to root; folders that are not there hold none. */
export function sources(root, folders) {
  const files = folders.flatMap((folder) => globSync(`${folder}/${code}`, { cwd: root }))
  return files.filter(isOurs).sort()
}

/** Every file of the checkout that git does not ignore. */
export function everyFile(root) {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, maxBuffer: 1 << 28 })
  const files = listed.toString().split('\0')
  return files.filter((file) => file !== '' && existsSync(join(root, file)))
}
