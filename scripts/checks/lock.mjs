// The lock file must be one that `npm ci` takes: the same dependencies as package.json, and the optional packages of every
// platform, which npm leaves out when it writes the file on one of them (scripts/complete-lock.mjs adds them).
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const kinds = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies']

export function lock(root) {
  const files = ['package.json', 'package-lock.json'].map((name) => join(root, name))
  const absent = files.filter((file) => !existsSync(file))
  if (absent.length > 0) return { ok: false, output: `missing: ${absent.join(', ')}` }
  const [manifest, { packages }] = files.map((file) => JSON.parse(readFileSync(file, 'utf8')))
  const problems = [...stale(manifest, packages['']), ...incomplete(packages)]
  return { ok: problems.length === 0, output: problems.join('\n'), note: `${Object.keys(packages).length - 1} packages` }
}

function stale(manifest, locked) {
  return kinds.flatMap((kind) => {
    const names = new Set([...Object.keys(manifest[kind] ?? {}), ...Object.keys(locked[kind] ?? {})])
    return [...names]
      .filter((name) => manifest[kind]?.[name] !== locked[kind]?.[name])
      .map((name) => `${name} is ${manifest[kind]?.[name]} in package.json and ${locked[kind]?.[name]} in the lock file: run npm install`)
  })
}

function incomplete(packages) {
  const present = (name) => Object.keys(packages).some((key) => key === `node_modules/${name}` || key.endsWith(`/node_modules/${name}`))
  const wanted = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}))
  return wanted.filter((name) => !present(name)).map((name) => `${name} is not in the lock file: run node scripts/complete-lock.mjs`)
}
