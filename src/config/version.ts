import { existsSync, readFileSync } from 'node:fs'

/** The package file stands one folder above the bundle, two above this file in a checkout. */
const file = ['../package.json', '../../package.json'].map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url))

/** Of the package. */
export const version: string = file === undefined ? 'unknown' : String(JSON.parse(readFileSync(file, 'utf8')).version)
