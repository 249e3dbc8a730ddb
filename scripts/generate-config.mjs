// Writes what is published of the configuration's schema: schemas/regent.schema.json and the table in docs/configuration.md.
// `--check` only compares and fails when one is out of date.
import { readFileSync, writeFileSync } from 'node:fs'
import { jsonSchema, settings, writtenConfig } from '../src/config/schema.ts'

const schemaFile = new URL('../schemas/regent.schema.json', import.meta.url)
const docsFile = new URL('../docs/configuration.md', import.meta.url)
const begin = '<!-- settings: written by scripts/generate-config.mjs -->'
const end = '<!-- /settings -->'

const schemaText = () => `${JSON.stringify(jsonSchema(), null, 2)}\n`

/** The page with its table of settings as they are now. */
function docsText(page) {
  const [before, after] = [page.indexOf(begin), page.indexOf(end)]
  if (before < 0 || after < before) throw new Error(`docs/configuration.md lacks the line ${before < 0 ? begin : end}`)
  return `${page.slice(0, before)}${begin}\n${table()}\n${page.slice(after)}`
}

function table() {
  const defaults = writtenConfig.parse({})
  const rows = settings.map(({ path, env, flag, description }) => {
    const value = path.split('.').reduce((at, key) => at?.[key], defaults)
    const names = [...env.map((name) => `\`${name}\``), ...(flag === undefined ? [] : [`\`--${flag}\``])].join(', ')
    return `| \`${path}\` | ${value === undefined ? '' : `\`${JSON.stringify(value)}\``} | ${names} | ${description.replaceAll('|', '\\|')} |`
  })
  return ['| setting | default | variable, flag | meaning |', '|---|---|---|---|', ...rows].join('\n')
}

const wanted = [
  [schemaFile, schemaText()],
  [docsFile, docsText(readFileSync(docsFile, 'utf8'))],
]
for (const [file, text] of wanted) {
  if (!process.argv.includes('--check')) writeFileSync(file, text)
  else if (readFileSync(file, 'utf8') !== text) {
    console.error(`${file.pathname} is out of date: node scripts/generate-config.mjs`)
    process.exitCode = 1
  }
}
